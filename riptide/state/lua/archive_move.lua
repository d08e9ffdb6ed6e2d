#!lua flags=allow-oom
-- Moves the archive's group over what a segment holds that is durable now. Only forward, and only without a gap.
-- KEYS: 1 who archives; 2 the stream
-- ARGV: 1 group; 2 token of the lease; 3 type; 4 id after which the segment begins; 5 its last id; 6 how many entries it holds
-- Returns: 1 if it was moved, 0 if it stands elsewhere, -1 if the lease is another's; nothing was done for 0 and -1
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return -1 end

local function fields(flat)
  local at = {}
  for i = 1, #flat, 2 do at[flat[i]] = flat[i + 1] end
  return at
end

local function later(a, b) -- is entry id a later than b? As numbers of any length.
  local function longer(x, y) return #x ~= #y and #x > #y or #x == #y and x > y end
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then return longer(a_ms, b_ms) end
  return longer(a_seq, b_seq)
end

local groups = redis.pcall('XINFO', 'GROUPS', KEYS[2])
if groups.err then return 0 end
for _, row in ipairs(groups) do
  local group = fields(row)
  if group['name'] == ARGV[1] then
    local position = group['last-delivered-id']
    if later(ARGV[4], position) or not later(ARGV[5], position) then return 0 end
    local stream = fields(redis.call('XINFO', 'STREAM', KEYS[2]))
    local read = group['entries-read'] and group['entries-read'] + ARGV[6] or -1
    if not later(stream['last-generated-id'], ARGV[5]) then read = stream['entries-added'] end
    redis.call('XGROUP', 'SETID', KEYS[2], ARGV[1], ARGV[5], 'ENTRIESREAD', string.format('%.0f', read))
    local time = redis.call('TIME')
    redis.call('HSET', KEYS[1], 'position:' .. ARGV[3], ARGV[5], 'moved:' .. ARGV[3], time[1])
    redis.call('HINCRBY', KEYS[1], 'archived:' .. ARGV[3], ARGV[6])
    return 1
  end
end
return 0
