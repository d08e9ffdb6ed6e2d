#!lua flags=allow-oom
-- Removes a damaged entry, unless another value has taken its place.
-- KEYS: 1 account; 2 index of entries; 3 entry
-- ARGV: 1 SHA-1 of the damaged value, hex; 2 its member of the index
-- Returns: 1 if it was removed, else 0; {'behind'} if the account has to be settled first

-- include: riptide.tenants.accounts account.lua

local value = redis.call('GET', KEYS[3])
if not value or redis.sha1hex(value) ~= ARGV[1] then return 0 end
if not settle() then return {'behind'} end
local removed = remove(KEYS[3], ARGV[2])
keep()
return removed
