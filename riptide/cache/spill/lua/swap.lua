#!lua flags=allow-oom
-- Leaves a stub in place of an entry that is in a blob now, unless it has changed since it was read.
-- KEYS: 1 account; 2 index of entries; 3 the tenant's record; 4 entry
-- ARGV: 1 incarnation of the tenant, '' for one without a record; 2 header of the entry as it was read, which has its
--       checksum; 3 its member of the index; 4 the stub; 5 ms at which it was read; 6 ms after which its blob may have been
--       taken for an orphan; 7 bytes of the entry
-- Returns: {by how many bytes that makes it smaller, the second at which it expires}; {0, 0} if nothing was done; {'facts'}
--          if the tenant is not the one it was taken for; {'behind'} if the account has to be settled first

-- include: riptide.tenants.accounts account.lua

if (redis.call('HGET', KEYS[3], 'incarnation') or '') ~= ARGV[1] then return {'facts'} end
local length = redis.call('STRLEN', KEYS[4])
if length == #ARGV[4] and redis.call('GET', KEYS[4]) == ARGV[4] then -- by an earlier try of this very call
  return {1, tonumber(redis.call('ZSCORE', KEYS[2], ARGV[3]) or 0)}
end
if length ~= tonumber(ARGV[7]) or redis.call('GETRANGE', KEYS[4], 0, 63) ~= ARGV[2] then return {0, 0} end
if now - ARGV[5] > tonumber(ARGV[6]) then return {0, 0} end
if not settle() then return {'behind'} end
local size, expires = counted(KEYS[4], ARGV[3])
local freed = length - #ARGV[4]
if not size or freed <= 0 then
  keep()
  return {0, 0}
end
count(expires, 0, -freed)
keep()
redis.call('SET', KEYS[4], ARGV[4], 'KEEPTTL')
return {freed, expires}
