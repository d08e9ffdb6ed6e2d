#!lua flags=no-writes,allow-oom
-- Proposes sessions that could be spilled.
-- KEYS: 1 index of sessions; 2 spilled sessions
-- ARGV: 1 how many
-- Returns: {id, the second at which it expires, ...}
local found = redis.call('ZRANDMEMBER', KEYS[1], ARGV[1], 'WITHSCORES')
local answer = {}
for i = 1, #found, 2 do
  if not redis.call('ZSCORE', KEYS[2], found[i]) then
    answer[#answer + 1] = found[i]
    answer[#answer + 1] = found[i + 1]
  end
end
return answer
