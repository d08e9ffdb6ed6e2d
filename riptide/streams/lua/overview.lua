#!lua flags=no-writes
-- How the streams of one partition stand.
-- KEYS: for each type four: stream, slow stream, retries, dead letters
-- ARGV: 1 group; 2 how many entries to count at most where the server does not know; then for each type the names of
--       all groups that its stream is kept for, separated by spaces
-- Returns: for each type {entries in the stream; -1 or entries that no consumer has seen; pending; consumers;
--          waiting retries; dead letters; age in ms of the oldest unfinished entry, or -1; entries ever delivered, or -1;
--          the group that is furthest behind, or empty; age in ms of the oldest entry that it needs}
-- include: groups.lua
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function age(id) return now - tonumber(string.match(id, '^(%d+)-')) end

local function first_after(key, id)
  local row = redis.call('XRANGE', key, id, '+', 'COUNT', 1)[1]
  return row and row[1]
end

-- The first entry that a group has not finished; without the group, the first of all.
local function oldest_of(key, group)
  if not group then return first_after(key, '-') end
  return redis.call('XPENDING', key, group['name'])[2] or first_after(key, '(' .. group['last-delivered-id'])
end

local function unseen(key, group)
  if not group then return redis.call('XLEN', key) end
  if group['lag'] then return group['lag'] end
  -- The server cannot tell while a deletion lies ahead.
  local most = tonumber(ARGV[2])
  local counted = #redis.call('XRANGE', key, '(' .. group['last-delivered-id'], '+', 'COUNT', most)
  return counted < most and counted or -1
end

-- Adds what stands in one stream to the row of its type.
local function add(row, key, group)
  local lag, oldest = unseen(key, group), oldest_of(key, group)
  row[2] = (row[2] < 0 or lag < 0) and -1 or row[2] + lag
  if oldest then row[7] = math.max(row[7], age(oldest)) end
  if group then
    row[3], row[4] = row[3] + group['pending'], math.max(row[4], group['consumers'])
  end
end

local reply = {}
for i = 1, #KEYS, 4 do
  local row = {redis.call('XLEN', KEYS[i]), 0, 0, 0, redis.call('ZCARD', KEYS[i + 2]), redis.call('XLEN', KEYS[i + 3]), -1, 0, '', -1}
  local groups = groups_of(KEYS[i])
  add(row, KEYS[i], groups[ARGV[1]])
  add(row, KEYS[i + 1], groups_of(KEYS[i + 1])[ARGV[1]])
  local workers = groups[ARGV[1]]
  if workers then row[8] = workers['entries-read'] or (workers['last-delivered-id'] == '0-0' and 0 or -1) end
  for name in string.gmatch(ARGV[2 + (i + 3) / 4], '%S+') do
    local oldest = oldest_of(KEYS[i], groups[name])
    if oldest and age(oldest) > row[10] then row[9], row[10] = name, age(oldest) end
  end
  reply[#reply + 1] = row
end
return reply
