#!lua flags=no-writes,allow-oom
-- Tells how large entries are, without that counting as a use of them.
-- KEYS: the entries
-- ARGV: none
-- Returns: bytes of each, 0: it is gone
local answer = {}
for i, entry in ipairs(KEYS) do answer[i] = redis.call('STRLEN', entry) end
return answer
