#!lua flags=no-writes
-- Lists the members.
-- KEYS: 1 members by last beat; 2 since when each beats without a gap; 3 what each says of itself; 4 quiet processes
-- ARGV: none
-- Returns: {the server's time (ms); {quiet process, since when and by whom (JSON), ...}; then {name, last beat (ms),
--          since when it beats (ms), what it says of itself (JSON)} of each member, the longest silent first}
local time = redis.call('TIME')
local reply = {time[1] * 1000 + math.floor(time[2] / 1000), redis.call('HGETALL', KEYS[4])}
local beats = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #beats, 2 do
  local name = beats[i]
  local since, about = redis.call('HGET', KEYS[2], name), redis.call('HGET', KEYS[3], name)
  reply[#reply + 1] = {name, beats[i + 1], since or '0', about or ''}
end
return reply
