#!lua flags=allow-oom
-- Strikes off namespaces whose garbage has been removed, unless they were invalidated again meanwhile.
-- KEYS: 1 namespaces with garbage
-- ARGV: namespace, when it was invalidated as `marks` told, ...
-- Returns: how many were struck off
local removed = 0
for i = 1, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    removed = removed + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return removed
