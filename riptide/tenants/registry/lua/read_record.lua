#!lua flags=no-writes
-- Reads a tenant's record.
-- KEYS: 1 record
-- ARGV: none
-- Returns: {now, field, value, ...}; {now} if there is none
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {string.format('%.0f', now), unpack(redis.call('HGETALL', KEYS[1]))}
