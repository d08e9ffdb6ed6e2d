#!lua flags=allow-oom
-- Brings popularity back. Of a key that is known the higher score stays, so that doing it again changes nothing.
-- KEYS: 1 purged tenants; 2 popular; 3 load times
-- ARGV: 1 digest of the tenant's id; 2 when it was purged as far as the caller knows (ms; 0: never); 3 how many keys to keep;
--       4 how many scores; 5.. member, score, ...; then member, load time, ...
-- Returns: how many scores there were; -1 if the tenant was purged since
-- include: riptide.cache popular.lua
if (redis.call('HGET', KEYS[1], ARGV[1]) or '0') ~= ARGV[2] then return -1 end
local scores, times = {}, {}
for i = 5, #ARGV do
  local into = i < 5 + 2 * ARGV[4] and scores or times
  into[#into + 1] = ARGV[i]
end

stepwise(scores, function(members, values)
  local args = {}
  for i, member in ipairs(members) do args[2 * i - 1], args[2 * i] = string.format('%.17g', values[i]), member end
  redis.call('ZADD', KEYS[2], 'GT', unpack(args))
end)
stepwise(times, function(members, values)
  for i, member in ipairs(members) do redis.call('HSETNX', KEYS[3], member, string.format('%.0f', values[i])) end
end)
bounded(KEYS[2], KEYS[3], tonumber(ARGV[3]))
return tonumber(ARGV[4])
