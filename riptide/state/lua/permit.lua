#!lua flags=allow-oom
-- Lets a restore bring back what there is of a tenant in one slot, where there is no record of it. A purge removes it with
-- all else that the tenant has, so that what comes later is refused.
-- KEYS: 1 the record in that slot; 2 what tells of the permission
-- ARGV: 1 seconds for which it holds
-- Returns: 1; 0 if there is a record, which tells by itself
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[2], '', 'EX', ARGV[1])
return 1
