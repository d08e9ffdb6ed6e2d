#!lua flags=allow-oom
-- Begins the invalidation of a tag: loads under way are stamped out of date, and its index is set aside to be drained.
-- KEYS: 1 generation; 2 the tag's stamp; 3 its index; 4 its doomed index; 5 the tenant's record
-- ARGV: 1 ms the stamp is kept: at least the longest lease; 2 incarnation of the tenant, '' for one without a record
-- Returns: 0 nothing to drain; 1 drain the doomed index; 2 drain it, which is an earlier invalidation's, and begin again;
--          {'facts'} if the tenant is not the one it was taken for
if (redis.call('HGET', KEYS[5], 'incarnation') or '') ~= ARGV[2] then return {'facts'} end
local generation = redis.call('INCR', KEYS[1])
redis.call('SET', KEYS[2], generation, 'PX', ARGV[1])
local indexed = redis.call('EXISTS', KEYS[3]) == 1
if redis.call('EXISTS', KEYS[4]) == 1 then return indexed and 2 or 1 end
if not indexed then return 0 end
redis.call('RENAME', KEYS[3], KEYS[4])
return 1
