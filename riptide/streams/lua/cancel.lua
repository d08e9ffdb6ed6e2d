#!lua flags=allow-oom
-- Sees to it that a command which has not been given to a worker never is.
-- KEYS: 1 the stream; 2 the slow stream; 3 retries; 4 bodies of retries; 5 result
-- ARGV: 1 group; 2 first entry id; 3 seconds to keep the result
-- Returns: cancelled, now or earlier; else the state that the command has: running, finished, unknown, queued where it
--          cannot be found, or that of the result: done, skipped, dead
local first = ARGV[2]
local state = redis.call('HGET', KEYS[5], 'state')
if state and state ~= 'retrying' then return state end

local function named(flat)
  local at = {}
  for i = 1, #flat, 2 do at[flat[i]] = flat[i + 1] end
  return at
end

local function later(a, b) -- is entry id a later than b?
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if tonumber(a_ms) ~= tonumber(b_ms) then return tonumber(a_ms) > tonumber(b_ms) end
  return tonumber(a_seq) > tonumber(b_seq)
end

local function entry_of(key, id)
  local row = redis.call('XRANGE', key, id, id)[1]
  return row and named(row[2])
end

local function take_out(key, id) -- of its stream, if no worker has been given it
  local pending = redis.pcall('XPENDING', key, ARGV[1], id, id, 1)
  if not pending.err and pending[1] then return 'running' end
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local group = named(row)
    if group['name'] == ARGV[1] and not later(id, group['last-delivered-id']) then return 'finished' end
  end
  redis.call('XDEL', key, id)
  return 'cancelled'
end

local due = tonumber(redis.call('ZSCORE', KEYS[3], first) or nil)
if not due then
  if not entry_of(KEYS[1], first) then return 'unknown' end
  state = take_out(KEYS[1], first)
elseif due ~= math.huge then
  state = 'cancelled'
else -- it has been put back, as another entry
  local id = redis.call('HGET', KEYS[4], first)
  state = 'queued'
  for _, key in ipairs({KEYS[1], KEYS[2]}) do
    local entry = id and string.find(id, '^%d+-%d+$') and entry_of(key, id)
    if entry and entry['src'] == first then
      state = take_out(key, id)
      break
    end
  end
end
if state == 'cancelled' then
  redis.call('ZREM', KEYS[3], first)
  redis.call('HDEL', KEYS[4], first)
  redis.call('DEL', KEYS[5])
  redis.call('HSET', KEYS[5], 'state', 'cancelled')
  redis.call('EXPIRE', KEYS[5], ARGV[3])
end
return state
