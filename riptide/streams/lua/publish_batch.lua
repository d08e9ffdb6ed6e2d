#!lua
-- Publishes commands of one partition once, however often the call is repeated.
-- KEYS: 1 the lane; then for each stream three, all in one slot: it, its slow stream, the flag that its backlog is full
-- ARGV: 1 this attempt's number in the lane; 2 seconds the lane is remembered; 3 how large a backlog may be;
--       then for each command: index of its stream in KEYS, how many arguments follow, field, value, ...
-- Returns: {1 if this number was seen before, else 0; entry id of each command in order}; or the error
--          FULL <backlog> <stream>, and nothing was published

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

local number = tonumber(ARGV[1])
local last = redis.call('GET', KEYS[1])
if last then
  local seen, ids = string.match(last, '^(%d+) (.*)$')
  seen = tonumber(seen)
  if seen == number then
    local reply = {1}
    for id in string.gmatch(ids, '%S+') do reply[#reply + 1] = id end
    return reply
  elseif seen > number then
    return redis.error_reply('LANE number ' .. ARGV[1] .. ' comes after ' .. seen)
  end
end
for i = 2, #KEYS, 3 do
  local refusal = full(KEYS[i], KEYS[i + 1], KEYS[i + 2], tonumber(ARGV[3]))
  if refusal then return refusal end
end
local reply = {0}
local at = 4
while at <= #ARGV do
  local count = tonumber(ARGV[at + 1])
  reply[#reply + 1] = redis.call('XADD', KEYS[tonumber(ARGV[at])], '*', unpack(ARGV, at + 2, at + 1 + count))
  at = at + 2 + count
end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. table.concat(reply, ' ', 2), 'EX', ARGV[2])
return reply
