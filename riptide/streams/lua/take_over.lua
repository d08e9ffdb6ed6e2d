#!lua flags=allow-oom
-- Fences off a dead consumer in one partition and claims what it held of one stream, as far as there is room.
-- A suspect, which has been started often without an end, is claimed alone: it may be what kills workers.
-- KEYS: 1 the dead consumer's fence; 2 the stream
-- ARGV: 1 group; 2 dead consumer; 3 the consumer that takes over; 4 how many entries there is room for;
--       5 starts that make a suspect; 6 how many suspects may be claimed
-- Returns: {how many are left with the dead; then for each claimed entry: id, fields, starts so far}
redis.call('DEL', KEYS[1])
local pending = redis.pcall('XPENDING', KEYS[2], ARGV[1], '-', '+', 900, ARGV[2])
if pending.err then return {0} end -- no such stream or group: nothing is held
local room, suspects = tonumber(ARGV[4]), tonumber(ARGV[6])
local reply = {0}
for _, row in ipairs(pending) do
  local suspect = row[4] >= tonumber(ARGV[5])
  if room > 0 and (not suspect or suspects > 0) then
    -- An entry that was trimmed is dropped from the pending entries by XCLAIM itself.
    local entry = redis.call('XCLAIM', KEYS[2], ARGV[1], ARGV[3], 0, row[1])[1]
    if entry then
      room = room - 1
      if suspect then suspects = suspects - 1 end
      reply[#reply + 1] = {entry[1], entry[2], row[4]}
    end
  else
    reply[1] = reply[1] + 1
  end
end
if #redis.call('XPENDING', KEYS[2], ARGV[1], '-', '+', 1, ARGV[2]) == 0 then
  redis.call('XGROUP', 'DELCONSUMER', KEYS[2], ARGV[1], ARGV[2])
end
return reply
