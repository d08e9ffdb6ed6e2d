#!lua flags=no-writes,allow-oom
-- Lists sessions in order of the digests of their users.
-- KEYS: 1 index of sessions; 2 sessions by user
-- ARGV: 1 where to begin, 2 where to end, as ZRANGE BYLEX takes them; 3 how many at most
-- Returns: `<digest>:<id>`, the second at which it expires or nil, ...
local members = redis.call('ZRANGE', KEYS[2], ARGV[1], ARGV[2], 'BYLEX', 'LIMIT', 0, ARGV[3])
local answer = {}
for i, member in ipairs(members) do
  answer[2 * i - 1] = member
  answer[2 * i] = redis.call('ZSCORE', KEYS[1], string.sub(member, string.find(member, ':', 1, true) + 1))
end
return answer
