#!lua flags=no-writes,allow-oom
-- Reads a session that is to be spilled.
-- KEYS: 1 session
-- ARGV: none
-- Returns: {the server's time in ms, {field, value, ...}}
local time = redis.call('TIME')
return {time[1] * 1000 + math.floor(time[2] / 1000), redis.call('HGETALL', KEYS[1])}
