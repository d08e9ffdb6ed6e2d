#!lua flags=no-writes,allow-oom
-- Reads stubs.
-- KEYS: the entries
-- ARGV: none
-- Returns: of each entry as much as a stub can have, and the second at which it expires
local answer = {}
for i, entry in ipairs(KEYS) do
  answer[2 * i - 1] = redis.call('GETRANGE', entry, 0, 1023)
  answer[2 * i] = math.floor(redis.call('PEXPIRETIME', entry) / 1000)
end
return answer
