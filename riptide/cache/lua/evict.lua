#!lua flags=allow-oom
-- Removes entries to make room. With a namespace's epoch, only those of another epoch: garbage.
-- KEYS: 1 account; 2 index of entries; 3.. the entries
-- ARGV: 1 why: what the removed ones are counted as; then the entries' members of the index
-- Returns: {entries removed, the bytes they counted as}; {'behind'} if the account has to be settled first

-- include riptide.tenants.accounts account.lua

if not settle() then return {'behind'} end
local entries_before, bytes_before = entries, bytes
for i = 3, #KEYS do remove(KEYS[i], ARGV[i - 1]) end
keep()
local removed = entries_before - entries
if removed > 0 then redis.call('HINCRBY', KEYS[1], 'evicted:' .. ARGV[1], removed) end
return {removed, bytes_before - bytes}
