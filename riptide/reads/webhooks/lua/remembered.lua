#!lua flags=no-writes,allow-oom
-- Reads what was told of.
-- KEYS: 1 what is remembered
-- ARGV: none
-- Returns: {the server's time, Unix ms; then name, state, ...}
local time = redis.call('TIME')
local reply = redis.call('HGETALL', KEYS[1])
table.insert(reply, 1, time[1] * 1000 + math.floor(time[2] / 1000))
return reply
