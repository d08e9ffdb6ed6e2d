#!lua
-- Puts a spilled entry back, unless something has changed it.
-- KEYS: 1 account; 2 index of entries; 3 the tenant's record; 4 entry
-- ARGV: 1 incarnation of the tenant, '' for one without a record; 2 its stub; 3 its member of the index; 4 the entry; 5
--       most bytes in this slot, -1: unlimited; 6 not used; 7 '1' if the record's limit wins
-- Returns: 1; 0 if the stub is not there any more; {'over', bytes there would be, most bytes, more that other slots have
--          lent, entries, -1, 0} if that is too much; {'facts'} if the tenant is not the one it was taken for; {'behind'}
--          if the account has to be settled first

-- include: riptide.tenants.accounts account.lua

local record = redis.call('HMGET', KEYS[3], 'incarnation', 'limit:memory_bytes')
if (record[1] or '') ~= ARGV[1] then return {'facts'} end
local length = redis.call('STRLEN', KEYS[4])
if length == #ARGV[4] and redis.call('GETRANGE', KEYS[4], 0, 63) == string.sub(ARGV[4], 1, 64) then
  return 1 -- by an earlier try of this very call, or by another reader
end
if length ~= #ARGV[2] or redis.call('GET', KEYS[4]) ~= ARGV[2] then return 0 end
if not settle() then return {'behind'} end
local size, expires = counted(KEYS[4], ARGV[3])
if not size then
  keep()
  return 0
end
local grown, most = #ARGV[4] - #ARGV[2], tonumber(ARGV[5])
if ARGV[7] == '1' then most = tonumber(record[2]) or most end
local lent = tonumber(redis.call('HGET', KEYS[1], 'shift:bytes') or 0)
if most >= 0 and bytes + grown > most + lent then
  keep()
  return {'over', bytes + grown, most, lent, entries, -1, 0}
end
count(expires, 0, grown)
keep()
redis.call('SET', KEYS[4], ARGV[4], 'KEEPTTL')
return 1
