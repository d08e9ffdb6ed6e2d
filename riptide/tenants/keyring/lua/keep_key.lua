#!lua
-- Keeps a wrapped key at hand, unless the tenant is another one by now: then its keys are to be gone for good.
-- KEYS: 1 the tenant's keys; 2 the tenant's record
-- ARGV: 1 incarnation, 0 for a tenant without a record; 2 key id; 3 the wrapped key, JSON
-- Returns: 1 if it is kept, else 0
if (redis.call('HGET', KEYS[2], 'incarnation') or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return 1
