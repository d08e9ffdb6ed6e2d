#!lua
-- Publishes one command once, however often the call is repeated.
-- KEYS: 1 the lane; 2 the stream; 3 its slow stream; 4 the flag that says that its backlog is full
-- ARGV: 1 this attempt's number in the lane; 2 seconds the lane is remembered; 3 how large a backlog may be;
--       then the entry's field, value, ...
-- Returns: the entry id; in a table of its own if this number was seen before; or the error FULL <backlog> <stream>

local function fields(flat)
  local at = {}
  for i = 1, #flat, 2 do at[flat[i]] = flat[i + 1] end
  return at
end

-- How much of a stream is unfinished; estimated by age where the server cannot tell, as after a deletion.
local function unfinished(stream)
  local length = redis.call('XLEN', stream)
  if length == 0 then return 0 end
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = fields(row)
    if group['name'] == 'workers' then
      if group['lag'] then return group['lag'] + group['pending'] end
      local info = fields(redis.call('XINFO', 'STREAM', stream))
      local function ms(id) return tonumber(string.match(id, '^%d+')) end
      local from, to = ms(info['first-entry'][1]), ms(info['last-generated-id'])
      local share = (to - math.max(from, ms(group['last-delivered-id']))) / math.max(1, to - from)
      return math.floor(length * share) + group['pending']
    end
  end
  return length
end

-- The error that refuses more for a stream, or nil. Only a stream that is long at all is looked at closely.
local function full(stream, slow, flag, most)
  if redis.call('XLEN', stream) + redis.call('XLEN', slow) < most then return nil end
  local backlog = redis.call('GET', flag)
  if not backlog then
    backlog = unfinished(stream) + unfinished(slow)
    if backlog < most then return nil end
    redis.call('SET', flag, backlog, 'EX', 1)
  end
  return redis.error_reply('FULL ' .. string.format('%d', backlog) .. ' ' .. stream)
end

local last = redis.call('GET', KEYS[1])
if last then
  local space = string.find(last, ' ', 1, true)
  local seen = string.sub(last, 1, space - 1)
  if seen == ARGV[1] then return {string.sub(last, space + 1)} end
  if tonumber(seen) > tonumber(ARGV[1]) then
    return redis.error_reply('LANE number ' .. ARGV[1] .. ' comes after ' .. seen)
  end
end
local refusal = full(KEYS[2], KEYS[3], KEYS[4], tonumber(ARGV[3]))
if refusal then return refusal end
local id = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. id, 'EX', ARGV[2])
return id
