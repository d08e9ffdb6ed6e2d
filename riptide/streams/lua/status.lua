#!lua flags=no-writes
-- Where one command stands. Done is derived: delivered, not pending, neither waiting for its time nor dead.
-- KEYS: 1 the stream; 2 the slow stream; 3 retries; 4 bodies of retries; 5 result
-- ARGV: 1 group; 2 first entry id
-- Returns: {state; field, value, ...; of a field that stands there twice the last one counts}; state is one of queued,
--          running, scheduled, retrying, finished, unknown, or that of the result: done, skipped, dead, cancelled
-- include: fields.lua
-- include: groups.lua
-- include: ids.lua
local first = ARGV[2]
local reply = redis.call('HGETALL', KEYS[5])
local result = fields(reply)

local function answer(state, ...)
  for _, fact in ipairs({...}) do reply[#reply + 1] = fact end
  table.insert(reply, 1, state)
  return reply
end

local function entry_of(key, id)
  local row = redis.call('XRANGE', key, id, id)[1]
  return row and fields(row[2])
end

local function holder_of(key, id) -- who works on it, and how often it was given out
  local pending = redis.pcall('XPENDING', key, ARGV[1], id, id, 1)
  if not pending.err and pending[1] then return pending[1][2], pending[1][4] end
end

if result['state'] and result['state'] ~= 'retrying' then return answer(result['state']) end

local due = tonumber(redis.call('ZSCORE', KEYS[3], first) or nil)
if due and due ~= math.huge then
  local body = redis.call('HGET', KEYS[4], first)
  local attempts = body and cmsgpack.unpack(body)[3] or '0'
  local waits = (result['state'] or tonumber(attempts) > 0) and 'retrying' or 'scheduled'
  return answer(waits, 'attempts', attempts, 'due', string.format('%.0f', due))
end
if due then -- it has been put back, as another entry
  local id, slow = string.match(redis.call('HGET', KEYS[4], first) or '', '^(%d+-%d+)(.*)$')
  local key = slow == ':slow' and KEYS[2] or KEYS[1]
  local entry = id and entry_of(key, id)
  if not entry or entry['src'] ~= first then return answer('queued') end
  local worker, starts = holder_of(key, id)
  if not worker then return answer('queued', 'attempts', entry['attempts']) end
  return answer('running', 'worker', worker, 'attempts', tostring(starts + entry['attempts']))
end

local worker, starts = holder_of(KEYS[1], first)
if worker then return answer('running', 'worker', worker, 'attempts', tostring(starts)) end
local entry = entry_of(KEYS[1], first)
if not entry then return answer('unknown') end
local group = groups_of(KEYS[1])[ARGV[1]]
if group and not later(first, group['last-delivered-id']) then return answer('finished') end
local time = redis.call('TIME')
local plus, ms = string.match(entry['due'] or '', '^(%+?)(%d+)$')
if ms then
  ms = plus == '+' and ms + string.match(first, '^%d+') or tonumber(ms)
  if ms > time[1] * 1000 + math.floor(time[2] / 1000) then
    return answer('scheduled', 'due', string.format('%.0f', ms))
  end
end
return answer('queued')
