#!lua flags=allow-oom
-- Seals a month of several tenants in one partition: what is counted of it from now on goes to the next generation.
-- KEYS: 1 purged tenants; then each tenant's seals
-- ARGV: 1 the month; 2 until when its sums are kept (s); 3 the generation that is sealed; then of each tenant digest of
--       its id and incarnation
-- Returns: for each tenant how often the month has been sealed here; less than asked for: it is not this one's turn yet;
--          -1: that incarnation was purged
local expires, generation = tonumber(ARGV[2]), tonumber(ARGV[3])
local reply = {}
for i = 2, #KEYS do
  local key, digest, incarnation = KEYS[i], ARGV[2 * i], ARGV[2 * i + 1]
  local purged = redis.call('HGET', KEYS[1], digest .. ':state')
  local sealed = tonumber(redis.call('HGET', key, ARGV[1]) or 0)
  if purged == incarnation or purged == incarnation .. ' over' then
    sealed = -1
  elseif sealed == generation then
    sealed = generation + 1
    redis.call('HSET', key, ARGV[1], sealed)
    if redis.call('EXPIRETIME', key) < expires then redis.call('EXPIREAT', key, expires) end
  end
  reply[i - 1] = sealed
end
return reply
