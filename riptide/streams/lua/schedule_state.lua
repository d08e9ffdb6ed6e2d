#!lua flags=no-writes
-- Tells what the schedules need to know: the server's time, and the last slot of each.
-- KEYS: 1 last slots
-- ARGV: names of schedules
-- Returns: {the time (ms); of each name in order: "<last slot (ms)> <reference>", or nil if it has had none}
local time = redis.call('TIME')
local reply = {time[1] * 1000 + math.floor(time[2] / 1000)}
for i, name in ipairs(ARGV) do reply[i + 1] = redis.call('HGET', KEYS[1], name) end
return reply
