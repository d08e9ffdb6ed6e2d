#!lua flags=no-writes,allow-oom
-- Reads the server's clock.
-- KEYS: 1 any key of the slot whose server is asked
-- ARGV: none
-- Returns: Unix milliseconds
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
