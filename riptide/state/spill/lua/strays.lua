#!lua flags=allow-oom
-- Takes sessions that have expired off the list by user, a part of it at a time.
-- KEYS: 1 index of sessions; 2 sessions by user
-- ARGV: 1 where to begin, as ZRANGE BYLEX takes it; 2 how many to look at
-- Returns: the last one that was looked at, '' at the end
local members = redis.call('ZRANGE', KEYS[2], ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
for _, member in ipairs(members) do
  local id = string.sub(member, string.find(member, ':', 1, true) + 1)
  if not redis.call('ZSCORE', KEYS[1], id) then redis.call('ZREM', KEYS[2], member) end
end
return #members < tonumber(ARGV[2]) and '' or members[#members]
