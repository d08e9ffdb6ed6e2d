#!lua
-- Asks a process to start nothing more, and forgets others that are gone.
-- KEYS: 1 quiet processes; 2 members by last beat
-- ARGV: 1 member; 2 its process; 3 by whom; 4.. processes that are gone
-- Returns: 1, or 0 if there is no such member
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
local time = redis.call('TIME')
local at = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[1], ARGV[2], cjson.encode({at = at, by = ARGV[3]}))
if #ARGV > 3 then redis.call('HDEL', KEYS[1], unpack(ARGV, 4)) end
return 1
