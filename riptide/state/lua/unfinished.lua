#!lua flags=no-writes
-- Reads the next unfinished commands of a stream: those that are pending, then those that nobody was given.
-- KEYS: 1 the stream
-- ARGV: 1 group; 2 'pending' or 'unread'; 3 the id after which to go on; 4 how many at most
-- Returns: {the id to go on after, or '' at the end; then {id, fields} of each}
-- include: groups.lua
-- include: ids.lua
local count, group = tonumber(ARGV[4]), groups_of(KEYS[1])[ARGV[1]]
local reply = {''}
if ARGV[2] == 'unread' then
  local after = group and group['last-delivered-id'] or '0-0'
  if later(ARGV[3], after) then after = ARGV[3] end
  local rows = redis.pcall('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', count)
  if rows.err then return reply end
  for i, row in ipairs(rows) do reply[i + 1] = row end
  if #rows == count then reply[1] = rows[count][1] end
elseif group then
  local rows = redis.call('XPENDING', KEYS[1], ARGV[1], '(' .. ARGV[3], '+', count)
  for _, row in ipairs(rows) do
    reply[#reply + 1] = redis.call('XRANGE', KEYS[1], row[1], row[1])[1]
  end
  if #rows == count then reply[1] = rows[count][1] end
end
return reply
