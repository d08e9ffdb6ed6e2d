#!lua flags=no-writes,allow-oom
-- Reads which tags entries bear.
-- KEYS: the entries
-- ARGV: none
-- Returns: the ids of each one's tags, 8 bytes each, joined
local answer = {}
for i = 1, #KEYS do
  -- 64 bytes of header, the number of tags at byte 39, then 8 bytes a tag, at most 64 of them.
  local head = redis.call('GETRANGE', KEYS[i], 0, 575)
  answer[i] = string.sub(head, 65, 64 + 8 * (string.byte(head, 39) or 0))
end
return answer
