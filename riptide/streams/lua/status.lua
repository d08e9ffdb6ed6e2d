#!lua flags=no-writes
-- Where one command stands. Done is derived: delivered, not pending, neither waiting for a retry nor dead.
-- KEYS: 1 the stream; 2 retries; 3 result
-- ARGV: 1 group; 2 first entry id
-- Returns: {state; field, value, ...}; state is one of queued, running, retrying, requeued, finished, unknown,
--          or that of the result: done, skipped, dead
local function later(a, b) -- is entry id a later than b?
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if tonumber(a_ms) ~= tonumber(b_ms) then return tonumber(a_ms) > tonumber(b_ms) end
  return tonumber(a_seq) > tonumber(b_seq)
end
local reply = redis.call('HGETALL', KEYS[3])
local state
for i = 1, #reply, 2 do
  if reply[i] == 'state' then state = reply[i + 1] end
end
if state and state ~= 'retrying' then
  table.insert(reply, 1, state)
  return reply
end
local due = redis.call('ZSCORE', KEYS[2], ARGV[2])
if due then
  table.insert(reply, 1, tonumber(due) == math.huge and 'requeued' or 'retrying')
  return reply
end
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)
if pending.err then return {redis.call('EXISTS', KEYS[1]) == 1 and 'queued' or 'unknown'} end
if pending[1] then return {'running', 'worker', pending[1][2], 'attempts', tostring(pending[1][4])} end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local at = {}
  for i = 1, #group, 2 do at[group[i]] = group[i + 1] end
  if at['name'] == ARGV[1] then
    local there = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
    if later(ARGV[2], at['last-delivered-id']) then return {there and 'queued' or 'unknown'} end
    return {there and 'finished' or 'unknown'}
  end
end
return {'queued'}
