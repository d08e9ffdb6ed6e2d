#!lua flags=allow-oom
-- Removes those of the given entries that still bear a tag, and strikes all of them off its doomed index.
-- KEYS: 1 the doomed index; 2.. the entries
-- ARGV: 1 the tag's id, 8 bytes; 2.. digests of the entries, in order
-- Returns: how many entries were removed
local removed = 0
for i = 2, #KEYS do
  -- 64 bytes of header, the number of tags at byte 39, then 8 bytes a tag, at most 64 of them.
  local head = redis.call('GETRANGE', KEYS[i], 0, 575)
  local count = string.byte(head, 39) or 0
  for at = 65, 57 + 8 * count, 8 do
    if string.sub(head, at, at + 7) == ARGV[1] then
      removed = removed + redis.call('UNLINK', KEYS[i])
      break
    end
  end
end
redis.call('ZREM', KEYS[1], unpack(ARGV, 2))
return removed
