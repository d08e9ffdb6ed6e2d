#!lua flags=allow-oom
-- Removes those of the given entries that still bear a tag, and strikes all of them off its doomed index.
-- KEYS: 1 account; 2 index of entries; 3 the doomed index; 4.. the entries
-- ARGV: 1 the tag's id, 8 bytes; 2 namespace; 3.. digests of the entries, in order
-- Returns: how many entries were removed; {'behind'} if the account has to be settled first

-- include: riptide.tenants.accounts account.lua

if not settle() then return {'behind'} end
local removed = 0
for i = 4, #KEYS do
  -- 64 bytes of header, the number of tags at byte 39, then 8 bytes a tag, at most 64 of them.
  local head = redis.call('GETRANGE', KEYS[i], 0, 575)
  local tags = string.byte(head, 39) or 0
  for first = 65, 57 + 8 * tags, 8 do
    if string.sub(head, first, first + 7) == ARGV[1] then
      removed = removed + remove(KEYS[i], ARGV[2] .. ':' .. ARGV[i - 1])
      break
    end
  end
end
keep()
redis.call('ZREM', KEYS[3], unpack(ARGV, 3))
return removed
