#!lua flags=no-writes
-- How the streams of one partition are, and who holds entries of them for long.
-- KEYS: 1 positions of the worker group; then for each type five: stream, slow stream, retries, dead letters, and the
--       flag of a full backlog
-- ARGV: 1 the workers' group; 2 ms from which an entry is held for long; 3 ms from which a retry is late; 4 ms that count
--       as lately; then the types
-- Returns: for each type {newest id, or empty; saved position, or empty; 1 if publishing is refused, else 0;
--          unfinished entries, or -1; late retries; dead letters; those of lately; {group, last id it was given, ...};
--          {consumer, entries it holds, ms since the oldest of them was given to it, its id, its starts, ...}}
-- include: fields.lua
-- include: groups.lua
local group = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function unfinished(key, workers)
  if not workers then return redis.call('XLEN', key) end
  return workers['lag'] and workers['lag'] + workers['pending'] or -1
end

local function add_held(held, key)
  local consumers = redis.pcall('XINFO', 'CONSUMERS', key, group)
  for _, row in ipairs(consumers.err and {} or consumers) do
    local consumer = fields(row)
    if consumer['pending'] > 0 then
      local name = consumer['name']
      local oldest = redis.call('XPENDING', key, group, 'IDLE', ARGV[2], '-', '+', 1, name)[1]
      for _, fact in ipairs(oldest and {name, consumer['pending'], oldest[3], oldest[1], oldest[4]} or {}) do
        held[#held + 1] = fact
      end
    end
  end
end

local reply = {}
for i = 2, #KEYS, 5 do
  local key, slow = KEYS[i], KEYS[i + 1]
  local info, found, slow_found = redis.pcall('XINFO', 'STREAM', key), groups_of(key), groups_of(slow)
  local groups, held = {}, {}
  for name, one in pairs(found) do
    groups[#groups + 1], groups[#groups + 2] = name, one['last-delivered-id']
  end
  add_held(held, key)
  add_held(held, slow)
  local rest, slow_rest = unfinished(key, found[group]), unfinished(slow, slow_found[group])
  reply[#reply + 1] = {
    info.err and '' or fields(info)['last-generated-id'],
    redis.call('HGET', KEYS[1], ARGV[5 + (i - 2) / 5]) or '',
    redis.call('EXISTS', KEYS[i + 4]),
    (rest < 0 or slow_rest < 0) and -1 or rest + slow_rest,
    redis.call('ZCOUNT', KEYS[i + 2], '-inf', now - ARGV[3]),
    redis.call('XLEN', KEYS[i + 3]),
    #redis.call('XRANGE', KEYS[i + 3], string.format('%.0f', now - ARGV[4]), '+', 'COUNT', 1000),
    groups,
    held,
  }
end
return reply
