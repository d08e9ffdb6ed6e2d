#!lua flags=no-writes,allow-oom
-- Reads the figures that some process has asked for.
-- KEYS: 1 figures
-- ARGV: none
-- Returns: {the figures, or nothing; the server's time, Unix ms}
local time = redis.call('TIME')
return {redis.call('GET', KEYS[1]) or '', time[1] * 1000 + math.floor(time[2] / 1000)}
