#!lua flags=no-writes,allow-oom
-- How the server that holds a key is.
-- KEYS: 1 the key
-- ARGV: none
-- Returns: {bytes used; bytes that it may use, 0: as many as there are; 1 if it could write its data to disk lately, else 0;
--          its time, Unix ms}
local info = redis.call('INFO', 'memory') .. redis.call('INFO', 'persistence')
local function number(name) return tonumber(string.match(info, '\n' .. name .. ':(%d+)') or 0) end
local broken = string.find(info, 'aof_last_write_status:err', 1, true) or string.find(info, 'rdb_last_bgsave_status:err', 1, true)
local time = redis.call('TIME')
return {number('used_memory'), number('maxmemory'), broken and 0 or 1, time[1] * 1000 + math.floor(time[2] / 1000)}
