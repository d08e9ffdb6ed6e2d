#!lua
-- Publishes commands again, each once, however often it is asked to; none while the backlog is full.
-- KEYS: 1 the stream; 2 its slow stream; 3 the flag that says that its backlog is full;
--       4.. for each command what remembers that it was sent
-- ARGV: 1 seconds to remember; 2 how large a backlog may be;
--       then for each command: how many arguments follow, field, value, ...
-- Returns: for each command 1, or 0 if it had been sent before; nothing if the backlog is full
local function fields(flat)
  local at = {}
  for i = 1, #flat, 2 do at[flat[i]] = flat[i + 1] end
  return at
end

-- How much of a stream is unfinished; all that was not handed out where the server cannot tell, as after a deletion.
local function unfinished(stream)
  local length = redis.call('XLEN', stream)
  if length == 0 then return 0 end
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = fields(row)
    if group['name'] == 'workers' then
      local most = math.min(length, tonumber(ARGV[2]))
      local lag = group['lag'] or #redis.call('XRANGE', stream, '(' .. group['last-delivered-id'], '+', 'COUNT', most)
      return lag + group['pending']
    end
  end
  return length
end

local most = tonumber(ARGV[2])
if redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[2]) >= most then
  if redis.call('EXISTS', KEYS[3]) == 1 or unfinished(KEYS[1]) + unfinished(KEYS[2]) >= most then return {} end
end
local reply = {}
local at = 3
for i = 4, #KEYS do
  local count = tonumber(ARGV[at])
  local fresh = redis.call('EXISTS', KEYS[i]) == 0
  if fresh then
    local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, at + 1, at + count))
    redis.call('SET', KEYS[i], '1 ' .. id, 'EX', ARGV[1])
  end
  reply[#reply + 1] = fresh and 1 or 0
  at = at + 1 + count
end
return reply
