#!lua flags=no-writes
-- Lists ids of tenants in order.
-- KEYS: 1 index of tenants; 2 reservations
-- ARGV: 1 where to begin, as ZRANGE BYLEX takes it; 2 how many at most
-- Returns: {id, its reservation or nothing, ...}
local answer = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call('HGET', KEYS[2], id) or ''
end
return answer
