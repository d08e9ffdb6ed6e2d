#!lua flags=no-writes,allow-oom
-- Reads entries that are to be spilled.
-- KEYS: the entries
-- ARGV: none
-- Returns: {the server's time in ms, {entry or nil, ...}}
local time = redis.call('TIME')
return {time[1] * 1000 + math.floor(time[2] / 1000), redis.call('MGET', unpack(KEYS))}
