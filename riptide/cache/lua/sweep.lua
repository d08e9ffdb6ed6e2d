#!lua flags=allow-oom
-- Removes those of the given entries that belong to another epoch than their namespace's: what an invalidation left.
-- KEYS: 1 account; 2 index of entries; 3 epoch; then the n entries; then indexes of their tags
-- ARGV: 1 n; then the entries' n members of the index; then for each index of a tag which of the entries bears it
-- Returns: {entries removed, the bytes they counted as}; {'behind'} if the account has to be settled first

-- include: riptide.tenants.accounts account.lua

if not settle() then return {'behind'} end
local entries_before, bytes_before = entries, bytes
local n, epoch, gone = tonumber(ARGV[1]), redis.call('GET', KEYS[3]), {}
for i = 1, n do
  local written = redis.call('GETRANGE', KEYS[3 + i], 20, 27)
  if written ~= '' and written ~= epoch then
    remove(KEYS[3 + i], ARGV[1 + i])
    gone[i] = string.match(ARGV[1 + i], '[^:]+$')
  end
end
for i = 4 + n, #KEYS do
  local digest = gone[tonumber(ARGV[i - 2])]
  if digest then redis.call('ZREM', KEYS[i], digest) end
end
keep()
local removed = entries_before - entries
if removed > 0 then redis.call('HINCRBY', KEYS[1], 'evicted:garbage', removed) end
return {removed, bytes_before - bytes}
