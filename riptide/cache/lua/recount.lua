#!lua flags=no-writes,allow-oom
-- Counts entries of one second anew, beside what the account says of it.
-- KEYS: 1 account; 2 index of entries; 3.. entries
-- ARGV: 1 second
-- Returns: {1 if it is over, how many of the entries are there and expire then, their sizes, how many the index lists,
--          their bytes by the account}
local second = tonumber(ARGV[1])
local held = redis.call('HMGET', KEYS[1], 'at', second)
local settled = math.max(tonumber(redis.call('TIME')[1]), tonumber(held[1]) or 0)
local found, size = 0, 0
for i = 3, #KEYS do
  if redis.call('PEXPIRETIME', KEYS[i]) == second * 1000 then
    found, size = found + 1, size + redis.call('STRLEN', KEYS[i])
  end
end
local listed = redis.call('ZCOUNT', KEYS[2], second, second)
return {settled >= second and 1 or 0, found, size, listed, tonumber(held[2]) or 0}
