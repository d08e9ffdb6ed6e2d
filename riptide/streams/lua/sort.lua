#!lua flags=allow-oom
-- Moves the next entries of a stream that belong to the tenants who crowd it to the slow stream, so that nobody waits
-- behind them, and hands the others among them to a consumer.
-- KEYS: 1 the consumer's fence; 2 the stream; 3 the slow stream; 4 retries; 5 bodies of retries
-- ARGV: 1 group; 2 consumer; 3 how many entries to look at; 4 room for entries of others; 5 type.partition, as in references;
--       then for each tenant two: itself, empty for nobody; how many entries here are too few to put it behind another one
-- Returns: {how many were moved; then id and fields of each that is handed over}; nil if the consumer has been fenced off
-- include: groups.lua
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local group = groups_of(KEYS[2])[ARGV[1]]
if not group then return {0} end
local room, crowding = tonumber(ARGV[4]), {}
for i = 6, #ARGV, 2 do crowding[ARGV[i]] = tonumber(ARGV[i + 1]) end

local function field(fields, name) -- of a name that stands there twice the last one counts
  for i = #fields - 1, 1, -2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

local formats = {}
local function packed(fields)
  local count, parts = #fields, {}
  formats[count] = formats[count] or '>' .. string.rep('I4c0', count)
  for i = 1, count do parts[2 * i - 1], parts[2 * i] = #fields[i], fields[i] end
  return struct.pack(formats[count], unpack(parts))
end

local function tenant_in(text) -- of packed fields
  local at, found = 1, nil
  while at < #text do
    local name, value
    name, value, at = struct.unpack('>I4c0I4c0', text, at)
    if name == 'tenant' then found = value end
  end
  return found
end

-- Whose an entry is; and, if it is one that was put back and noted as `place`, its first entry id.
local function owner(place, fields)
  local first = #fields == 10 and fields[9] == 'orig' and fields[5] == 'src' and fields[6]
  if first and redis.call('HGET', KEYS[5], first) == place then return tenant_in(fields[10]) or '', first end
  return field(fields, 'tenant') or ''
end

-- What the slow stream gets of a producer's own entry: the form that a retry has.
local function story(id, fields)
  local name, issued = field(fields, 'id'), field(fields, 'at')
  name = name and name ~= '' and string.sub(name, 1, 512) or ARGV[5] .. '.' .. id
  issued = issued and #issued <= 15 and string.find(issued, '^%d+$') and issued or string.match(id, '^%d+')
  return {'id', name, 'at', issued, 'src', id, 'attempts', '0', 'orig', packed(fields)}
end

-- Who has little here is not to wait there for what another one has.
local slow = groups_of(KEYS[3])[ARGV[1]]
local ahead = slow and redis.call('XRANGE', KEYS[3], '(' .. slow['last-delivered-id'], '+', 'COUNT', 1)[1]
if ahead then
  local other, backlog = owner(ahead[1] .. ':slow', ahead[2]), group['lag'] or redis.call('XLEN', KEYS[2])
  for tenant, few in pairs(crowding) do
    if tenant ~= other and backlog < few then crowding[tenant] = nil end
  end
end

local reply, last, count, waiting, places, others = {0}, nil, 0, {}, {}, {}
for _, row in ipairs(redis.call('XRANGE', KEYS[2], '(' .. group['last-delivered-id'], '+', 'COUNT', ARGV[3])) do
  local id, fields = row[1], row[2]
  local tenant, first = owner(id, fields)
  if crowding[tenant] and #fields <= 400 then
    local there = redis.call('XADD', KEYS[3], '*', unpack(first and fields or story(id, fields)))
    first = first or id
    waiting[#waiting + 1], waiting[#waiting + 2] = '+inf', first
    places[#places + 1], places[#places + 2] = first, there .. ':slow' -- so that it can be told from a forged one
    reply[1] = reply[1] + 1
  else
    if room == 0 then break end
    room = room - 1
    others[#others + 1] = id
    reply[#reply + 1] = {id, fields}
  end
  last, count = id, count + 1
end
if reply[1] > 0 then
  redis.call('ZADD', KEYS[4], unpack(waiting))
  redis.call('HSET', KEYS[5], unpack(places))
end
if #others > 0 then
  others[#others + 1], others[#others + 2], others[#others + 3] = 'RETRYCOUNT', 1, 'FORCE'
  others[#others + 1] = 'JUSTID'
  redis.call('XCLAIM', KEYS[2], ARGV[1], ARGV[2], 0, unpack(others))
end
if last then -- as if all had been read, without a pending entry for those that were moved
  local read = group['entries-read'] and {'ENTRIESREAD', group['entries-read'] + count} or {}
  redis.call('XGROUP', 'SETID', KEYS[2], ARGV[1], last, unpack(read))
end
return reply
