#!lua flags=no-writes
-- Reads sessions, each at once.
-- KEYS: the sessions
-- ARGV: 1 how many bytes are enough
-- Returns: for each, until that many bytes are reached: field, value, ...; nothing if there is none
local reply, bytes, enough = {}, 0, tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  local items = redis.pcall('HGETALL', key)
  if items.err then items = {} end -- somebody else's
  for _, item in ipairs(items) do bytes = bytes + #item end
  reply[i] = items
  if bytes >= enough then break end
end
return reply
