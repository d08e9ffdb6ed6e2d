#!lua flags=no-writes,allow-oom
-- A step through the index of entries in search of garbage.
-- KEYS: 1 index of entries; 2 namespaces with garbage
-- ARGV: 1 where the step before ended, '0' to begin; 2 about how many entries to look at
-- Returns: {where it ended, '0' at the end; members of namespaces with garbage}
local step = redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local members, marked = {}, {}
for i = 1, #step[2], 2 do
  local namespace = string.match(step[2][i], '^(.*):')
  if marked[namespace] == nil then marked[namespace] = redis.call('ZSCORE', KEYS[2], namespace) end
  if marked[namespace] then members[#members + 1] = step[2][i] end
end
return {step[1], members}
