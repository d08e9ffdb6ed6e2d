#!lua flags=allow-oom
-- Invalidates whole namespaces: without its epoch no entry is valid, and no lease taken before can fill. What they
-- held is garbage from now on, for the sweeper to find.
-- KEYS: 1 namespaces; 2 namespaces with garbage; 3 the tenant's record; 4.. the namespaces' epochs
-- ARGV: 1 incarnation of the tenant, '' for one without a record; then the namespaces, in the order of the epochs
-- Returns: how many had an epoch; {'facts'} if the tenant is not the one it was taken for
if (redis.call('HGET', KEYS[3], 'incarnation') or '') ~= ARGV[1] then return {'facts'} end
redis.call('ZREM', KEYS[1], unpack(ARGV, 2))
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local removed = 0
for i = 2, #ARGV do
  if redis.call('DEL', KEYS[2 + i]) == 1 then
    removed = removed + 1
    redis.call('ZADD', KEYS[2], now, ARGV[i])
  end
end
return removed
