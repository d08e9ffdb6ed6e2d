#!lua flags=no-writes,allow-oom
-- Lists the namespaces that may hold valid entries or leases in this slot.
-- KEYS: 1 namespaces; 2 the tenant's record
-- ARGV: 1 incarnation of the tenant, '' for one without a record
-- Returns: {their names}; {'facts'} if the tenant is not the one it was taken for
if (redis.call('HGET', KEYS[2], 'incarnation') or '') ~= ARGV[1] then return {'facts'} end
return {redis.call('ZRANGE', KEYS[1], 0, -1)}
