#!lua flags=no-writes,allow-oom
-- Tells what processes have reported of a tenant, as far as it was summed up in one partition.
-- KEYS: 1 sums; 2 processes
-- ARGV: 1 how many minutes before the one that goes on
-- Returns: {the server's time (s), {field, value, ...} of the sums, the processes that have reported since}
local now = tonumber(redis.call('TIME')[1])
local since = (math.floor(now / 60) - ARGV[1]) * 60
return {now, redis.call('HGETALL', KEYS[1]), redis.call('ZRANGEBYSCORE', KEYS[2], since, '+inf')}
