#!lua
-- Remembers a slot as the last one of a schedule. It only moves forward, and never ahead of the server's clock.
-- KEYS: 1 last slots
-- ARGV: 1 name of the schedule; 2 slot (ms); 3 reference of what was published for it, or empty
-- Returns: 1 if it moved forward, 0 if that slot or a later one was there, -1 if the slot has not come yet
local time = redis.call('TIME')
if tonumber(ARGV[2]) > time[1] * 1000 + math.floor(time[2] / 1000) then return -1 end
local last = redis.call('HGET', KEYS[1], ARGV[1])
if last and tonumber(string.match(last, '^%d+')) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
return 1
