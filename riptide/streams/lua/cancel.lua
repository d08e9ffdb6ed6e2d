#!lua flags=allow-oom
-- Sees to it that a command which has not been given to a worker never is.
-- KEYS: 1 the stream; 2 the slow stream; 3 retries; 4 bodies of retries; 5 result
-- ARGV: 1 group; 2 first entry id; 3 seconds to keep the result
-- Returns: cancelled, now or earlier; else the state that the command has: running, finished, unknown, queued where it
--          cannot be found, or that of the result: done, skipped, dead
-- include: fields.lua
-- include: groups.lua
-- include: ids.lua
local first = ARGV[2]
local state = redis.call('HGET', KEYS[5], 'state')
if state and state ~= 'retrying' then return state end

local function entry_of(key, id)
  local row = redis.call('XRANGE', key, id, id)[1]
  return row and fields(row[2])
end

local function take_out(key, id) -- of its stream, if no worker has been given it
  local pending = redis.pcall('XPENDING', key, ARGV[1], id, id, 1)
  if not pending.err and pending[1] then return 'running' end
  local group = groups_of(key)[ARGV[1]]
  if group and not later(id, group['last-delivered-id']) then return 'finished' end
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
  local id, slow = string.match(redis.call('HGET', KEYS[4], first) or '', '^(%d+-%d+)(.*)$')
  local key = slow == ':slow' and KEYS[2] or KEYS[1]
  local entry = id and entry_of(key, id)
  state = entry and entry['src'] == first and take_out(key, id) or 'queued'
end
if state == 'cancelled' then
  redis.call('ZREM', KEYS[3], first)
  redis.call('HDEL', KEYS[4], first)
  redis.call('DEL', KEYS[5])
  redis.call('HSET', KEYS[5], 'state', 'cancelled')
  redis.call('EXPIRE', KEYS[5], ARGV[3])
end
return state
