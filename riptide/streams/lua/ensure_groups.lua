#!lua flags=allow-oom
-- Makes the groups that a consumer reads from in one partition, where they are missing: after the last entry that is
-- known to be finished, or at the start where nothing is known or the stream was made anew.
-- KEYS: 1 the consumer's fence; 2 positions of the group; 3.. the streams
-- ARGV: 1 group; then the type of each stream
-- Returns: {how many were missing and have been made; then the position in KEYS, from 0 for the first stream, of each
--          key that is no stream}; nil if the consumer has been fenced off
-- include: fields.lua
-- include: ids.lua
if redis.call('EXISTS', KEYS[1]) == 0 then return false end

local function start_of(key, kind)
  local info = redis.pcall('XINFO', 'STREAM', key)
  local saved = not info.err and redis.call('HGET', KEYS[2], kind)
  if not saved or later(saved, fields(info)['last-generated-id']) then return '0' end
  return saved
end

local reply = {0}
for i = 3, #KEYS do
  local made = redis.pcall('XGROUP', 'CREATE', KEYS[i], ARGV[1], start_of(KEYS[i], ARGV[i - 1]), 'MKSTREAM')
  if not made.err then
    reply[1] = reply[1] + 1
  elseif string.find(made.err, 'WRONGTYPE', 1, true) then
    reply[#reply + 1] = i - 3
  elseif not string.find(made.err, 'BUSYGROUP', 1, true) then
    return made
  end
end
return reply
