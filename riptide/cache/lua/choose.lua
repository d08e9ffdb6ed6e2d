#!lua flags=no-writes,allow-oom
-- Proposes entries that could give way.
-- KEYS: 1 index of entries; 2 namespaces with garbage
-- ARGV: 1 how many; 2 'ttl' for those that expire next, else any
-- Returns: {namespaces with garbage, members of the index}
local members
if ARGV[2] == 'ttl' then
  local time = redis.call('TIME')
  members = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. time[1], '+inf', 'LIMIT', 0, ARGV[1])
else
  members = redis.call('ZRANDMEMBER', KEYS[1], ARGV[1])
end
return {redis.call('ZRANGE', KEYS[2], 0, -1), members}
