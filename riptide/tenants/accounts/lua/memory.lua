#!lua flags=no-writes,allow-oom
-- Tells how full the server is.
-- KEYS: 1 any key of the slot whose server is asked
-- ARGV: none
-- Returns: {bytes used, most bytes, 0: unlimited}
local info = redis.call('INFO', 'memory')
return {tonumber(string.match(info, 'used_memory:(%d+)')), tonumber(string.match(info, 'maxmemory:(%d+)'))}
