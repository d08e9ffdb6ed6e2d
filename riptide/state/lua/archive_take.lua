#!lua flags=allow-oom
-- Takes or keeps the lease on archiving one partition, makes the archive's groups, and tells what waits for it.
-- KEYS: 1 who archives; 2.. the streams
-- ARGV: 1 group; 2 who asks; 3 lease in ms; then the type of each stream
-- Returns: {0; ms until the lease of another ends}, or {token; Unix ms; then for each stream {position; age in ms of the
--          first entry after it, or -1 if there is none; bytes of that entry; entries after it, or -1}, empty where the key
--          is no stream}
-- include: fields.lua
-- include: groups.lua
-- include: ids.lua
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'until', 'token')
if held[1] ~= ARGV[2] and held[1] and tonumber(held[2]) > now then return {0, tonumber(held[2]) - now} end
local token = tonumber(held[3])
if held[1] ~= ARGV[2] then token = redis.call('HINCRBY', KEYS[1], 'token', 1) end
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'until', now + tonumber(ARGV[3]))

-- Where the archive begins: where it had come, if this is still the stream that it had come to. `born` is since when
-- (ms) this stream has been there; what is older has never been in it. 0: that cannot be told.
local function begin(key, kind)
  local info = redis.pcall('XINFO', 'STREAM', key)
  local stream = info.err and {length = 0, ['entries-added'] = 0} or fields(info)
  local saved = redis.call('HGET', KEYS[1], 'position:' .. kind)
  if saved and not info.err and not later(saved, stream['last-generated-id']) then
    return redis.pcall('XGROUP', 'CREATE', key, ARGV[1], saved)
  end
  local born = 0
  if stream['length'] == 0 and stream['entries-added'] == 0 then
    born = now
  elseif stream['length'] == stream['entries-added'] then
    born = string.match(stream['first-entry'][1], '^(%d+)-')
  end
  redis.call('HSET', KEYS[1], 'born:' .. kind, born)
  redis.call('HDEL', KEYS[1], 'position:' .. kind)
  return redis.pcall('XGROUP', 'CREATE', key, ARGV[1], '0', 'MKSTREAM')
end

local reply = {token, now}
for i = 2, #KEYS do
  local group = groups_of(KEYS[i])[ARGV[1]]
  if not group and not begin(KEYS[i], ARGV[i + 2]).err then group = groups_of(KEYS[i])[ARGV[1]] end
  local row = {}
  if group then
    local position = group['last-delivered-id']
    local first = redis.call('XRANGE', KEYS[i], '(' .. position, '+', 'COUNT', 1)[1]
    row = {position, -1, 0, group['lag'] or -1}
    if first then
      row[2] = now - tonumber(string.match(first[1], '^(%d+)-'))
      if row[2] < 0 then row[2] = 2147483647 end -- an id that its producer chose: nobody need wait for its time
      for _, field in ipairs(first[2]) do row[3] = row[3] + #field end
    else
      row[4] = 0
    end
  end
  reply[#reply + 1] = row
end
return reply
