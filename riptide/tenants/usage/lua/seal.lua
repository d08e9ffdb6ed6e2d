#!lua flags=allow-oom
-- Seals a month of several tenants in one partition: what is counted of it from now on goes to the next generation.
-- KEYS: each tenant's seals
-- ARGV: 1 the month; 2 until when its sums are kept (s); 3 the generation that is sealed
-- Returns: for each tenant how often the month has been sealed here; less than asked for: it is not this one's turn yet
local expires, generation = tonumber(ARGV[2]), tonumber(ARGV[3])
local reply = {}
for i, key in ipairs(KEYS) do
  local sealed = tonumber(redis.call('HGET', key, ARGV[1]) or 0)
  if sealed == generation then
    sealed = generation + 1
    redis.call('HSET', key, ARGV[1], sealed)
    if redis.call('EXPIRETIME', key) < expires then redis.call('EXPIREAT', key, expires) end
  end
  reply[i] = sealed
end
return reply
