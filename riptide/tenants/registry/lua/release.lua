#!lua flags=allow-oom
-- Gives up a stale reservation that no record came of.
-- KEYS: 1 index of tenants; 2 reservations
-- ARGV: 1 id; 2 the reservation as it was seen
-- Returns: 1, or 0 if it has changed since
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
