#!lua flags=no-writes
-- Reads an audit trail, the newest first.
-- KEYS: 1 audit trail
-- ARGV: 1 newest id; 2 oldest id; 3 how many at most; 4 ms that audit records are kept
-- Returns: {id, fields} of each; what is older than records are kept is left out
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local oldest = math.max(tonumber(ARGV[2]), now - ARGV[4])
return redis.call('XREVRANGE', KEYS[1], ARGV[1], string.format('%.0f', oldest), 'COUNT', ARGV[3])
