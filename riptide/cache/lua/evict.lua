#!lua flags=allow-oom
-- Removes entries to make room, from the indexes of their tags, too.
-- KEYS: 1 account; 2 index of entries; then the n entries; then indexes of tags
-- ARGV: 1 why: what the removed ones are counted as; 2 n; then the entries' n members of the index; then for each index
--       of a tag the digest of an entry to be struck off
-- Returns: {entries removed, the bytes they counted as}; {'behind'} if the account has to be settled first

-- include: riptide.tenants.accounts account.lua

if not settle() then return {'behind'} end
local entries_before, bytes_before = entries, bytes
local n = tonumber(ARGV[2])
for i = 1, n do remove(KEYS[2 + i], ARGV[2 + i]) end
for i = 3 + n, #KEYS do redis.call('ZREM', KEYS[i], ARGV[i]) end
keep()
local removed = entries_before - entries
if removed > 0 then redis.call('HINCRBY', KEYS[1], 'evicted:' .. ARGV[1], removed) end
return {removed, bytes_before - bytes}
