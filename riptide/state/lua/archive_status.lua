#!lua flags=no-writes
-- How far the archive of one partition has come.
-- KEYS: 1 who archives; 2.. the streams
-- ARGV: 1 group; 2 how many entries to count at most where the server does not know; then the type of each stream
-- Returns: {owner, or empty; ms until its lease ends; then for each stream {position, or empty if nothing has been archived;
--          entries archived; Unix seconds of the last segment, or 0; entries that wait, or -1; age in ms of the oldest, or -1}}
-- include: groups.lua
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
local reply = {held[1] or '', math.max(0, tonumber(held[2] or 0) - now)}
for i = 2, #KEYS do
  local kind = ARGV[i + 1]
  local saved = redis.call('HMGET', KEYS[1], 'position:' .. kind, 'archived:' .. kind, 'moved:' .. kind)
  local position, lag = saved[1] or '0-0', -1
  local group = groups_of(KEYS[i])[ARGV[1]]
  if group then position, lag = group['last-delivered-id'], group['lag'] or -1 end
  local waiting = redis.pcall('XRANGE', KEYS[i], '(' .. position, '+', 'COUNT', 1)
  local age = -1
  if waiting.err or not waiting[1] then
    lag = 0
  else
    age = math.max(0, now - tonumber(string.match(waiting[1][1], '^(%d+)-')))
    if lag < 0 then
      local most = tonumber(ARGV[2])
      local counted = #redis.call('XRANGE', KEYS[i], '(' .. position, '+', 'COUNT', most)
      lag = counted < most and counted or -1
    end
  end
  reply[#reply + 1] = {saved[1] or '', tonumber(saved[2] or 0), tonumber(saved[3] or 0), lag, age}
end
return reply
