#!lua flags=no-writes
-- What this server knows of commands of one stream, by their first entries.
-- KEYS: 1 the stream; 2 retries; 3 who archives; 4 what a restore has counted; 5.. the result of each command
-- ARGV: 1 group; 2 type; 3.. first entry ids
-- Returns: for each: waits (it will be carried out, or is being), done (it was handed out and has ended), cancelled,
--          or unknown (it has never been in this stream)
-- include: fields.lua
-- include: groups.lua
-- include: ids.lua
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
local stream = info.err and {length = 0, ['entries-added'] = 0} or fields(info)
local group = groups_of(KEYS[1])[ARGV[1]]
local given = group and group['last-delivered-id'] or '0-0'
-- Most of a page is in none of these: what cannot be there is not looked for.
local pends, retried = group and group['pending'] > 0, redis.call('ZCARD', KEYS[2]) > 0
local first = stream['length'] > 0 and stream['first-entry'][1]
-- What is older than the stream has never been in it: the server lost its data and began anew.
local born = redis.call('HGET', KEYS[3], 'born:' .. ARGV[2])
local oldest = born and born .. '-0' or '0-0'
if stream['length'] == stream['entries-added'] and stream['length'] > 0 then oldest = stream['first-entry'][1] end

-- What a restore has counted from the archive is done, although it has never been in this stream.
local counted = redis.call('HGET', KEYS[4], ARGV[2])
local reply = {}
for i = 3, #ARGV do
  local id, state = ARGV[i], 'done'
  local never = later(oldest, id)
  if retried and redis.call('ZSCORE', KEYS[2], id)
     or pends and redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1)[1] then
    state = 'waits'
  elseif never then
    state = 'unknown'
  elseif later(id, given) then
    local there = first and not later(first, id) and not later(id, stream['last-generated-id'])
    state = there and redis.call('XRANGE', KEYS[1], id, id)[1] and 'waits' or 'unknown'
  end
  if state == 'unknown' and counted and not later(id, counted) then state = 'done' end
  if state ~= 'waits' and not never and redis.call('HGET', KEYS[i + 2], 'state') == 'cancelled' then state = 'cancelled' end
  reply[#reply + 1] = state
end
return reply
