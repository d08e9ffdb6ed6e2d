#!lua
-- Makes the groups that a consumer reads from in one partition, where they are missing.
-- KEYS: 1 the consumer's fence; 2.. the streams
-- ARGV: 1 group
-- Returns: how many were missing and have been made, each at the start of its stream; -1 if the consumer has been fenced off
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local made = 0
for i = 2, #KEYS do
  local reply = redis.pcall('XGROUP', 'CREATE', KEYS[i], ARGV[1], '0', 'MKSTREAM')
  if not reply.err then
    made = made + 1
  elseif not string.find(reply.err, 'BUSYGROUP', 1, true) then
    return reply
  end
end
return made
