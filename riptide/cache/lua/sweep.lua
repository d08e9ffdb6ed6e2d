#!lua flags=allow-oom
-- Removes those of the given entries that belong to another epoch than their namespace's: what an invalidation left.
-- KEYS: 1 account; 2 index of entries; 3 epoch; 4.. the entries
-- ARGV: the entries' members of the index
-- Returns: {entries removed, the bytes they counted as}; {'behind'} if the account has to be settled first

-- include riptide.tenants.accounts account.lua

if not settle() then return {'behind'} end
local entries_before, bytes_before = entries, bytes
local epoch = redis.call('GET', KEYS[3])
for i, member in ipairs(ARGV) do
  local written = redis.call('GETRANGE', KEYS[3 + i], 20, 27)
  if written ~= '' and written ~= epoch then remove(KEYS[3 + i], member) end
end
keep()
local removed = entries_before - entries
if removed > 0 then redis.call('HINCRBY', KEYS[1], 'evicted:garbage', removed) end
return {removed, bytes_before - bytes}
