#!lua flags=allow-oom
-- Removes entries by key, and ends the leases of loads that are under way for them.
-- KEYS: 1 account; 2 index of entries; 3 the tenant's record; then n entries; then their n leases
-- ARGV: 1 incarnation of the tenant, '' for one without a record; then the entries' n members of the index
-- Returns: how many entries there were; {'facts'} if the tenant is not the one it was taken for; {'behind'} if the
--          account has to be settled first
if (redis.call('HGET', KEYS[3], 'incarnation') or '') ~= ARGV[1] then return {'facts'} end

-- include: riptide.tenants.accounts account.lua

if not settle() then return {'behind'} end
local removed = 0
for i = 2, #ARGV do removed = removed + remove(KEYS[2 + i], ARGV[i]) end
keep()
redis.call('DEL', unpack(KEYS, 3 + #ARGV))
return removed
