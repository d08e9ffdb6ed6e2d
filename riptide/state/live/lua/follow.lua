#!lua flags=allow-oom
-- One sign of life of a process that is no worker: it is listed, and told the configuration's version.
-- KEYS: 1 the current configuration; 2 services by last sign of life; 3 what each says of itself
-- ARGV: 1 its name; 2 what it says of itself (JSON); 3 ms after which a silent one is forgotten
-- Returns: id of the current version, or empty
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
for _, name in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', now - tonumber(ARGV[3]), 'BYSCORE', 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[2], name)
  redis.call('HDEL', KEYS[3], name)
end
return redis.call('HGET', KEYS[1], 'id') or ''
