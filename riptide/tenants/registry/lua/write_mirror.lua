#!lua
-- Writes what a shard of a new tenant needs of its record, unless the time for it is over: then another may have
-- reserved the id.
-- KEYS: 1 the record in the shard's slot
-- ARGV: 1 when the id was reserved, ms; 2 ms within which it has to be written; then field, value, ...
-- Returns: 1, or 0 if it is too late
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now - ARGV[1] > tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
