#!lua flags=no-writes
-- Lists the processes that are no workers.
-- KEYS: 1 services by last sign of life; 2 what each says of itself
-- ARGV: none
-- Returns: {the server's time (ms); then {name, last sign of life (ms), what it says of itself (JSON)} of each, the longest
--          silent first}
local time = redis.call('TIME')
local reply = {time[1] * 1000 + math.floor(time[2] / 1000)}
local beats = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #beats, 2 do
  reply[#reply + 1] = {beats[i], beats[i + 1], redis.call('HGET', KEYS[2], beats[i]) or ''}
end
return reply
