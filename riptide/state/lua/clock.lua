#!lua flags=no-writes
-- The server's time.
-- KEYS: 1 any key, so that it is known which server is meant
-- ARGV: none
-- Returns: Unix ms
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
