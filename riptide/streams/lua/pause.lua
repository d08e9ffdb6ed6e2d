#!lua
-- Asks all workers to start nothing more of one type.
-- KEYS: 1 paused types
-- ARGV: 1 type; 2 by whom; 3 why, or empty
-- Returns: 1 if it was not paused before, else 0
local time = redis.call('TIME')
local at = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({at = at, by = ARGV[2], why = ARGV[3]}))
