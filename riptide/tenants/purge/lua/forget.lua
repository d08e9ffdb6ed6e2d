#!lua flags=allow-oom
-- Forgets a tenant of which nothing is left: its id is free from now on. Tells the operators' audit trail.
-- KEYS: 1 index of tenants; 2 reservations; 3 tenants without a record; 4 purges that have ended; 5 counts of this one;
--       6 the operators' audit trail
-- ARGV: 1 id; 2 digest of it; 3 incarnation; 4 ms that audit records are kept, 0: none is written; the audit record's
--       field, value, ...
-- Returns: 1, or 0 if that had been done before
-- include: riptide.tenants.registry audit.lua
if redis.call('HEXISTS', KEYS[4], ARGV[3]) == 1 then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%.0f', now)
redis.call('HSET', KEYS[4], ARGV[2], stamp, ARGV[3], stamp)
local held = redis.call('HGET', KEYS[2], ARGV[1])
if not held or string.match(held, '^%x+') == ARGV[3] then -- else somebody has reserved the id for another
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[1], ARGV[1])
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[5])
tell(KEYS[6], now, 4)
return 1
