#!lua
-- Publishes commands of one partition once, however often the call is repeated.
-- KEYS: 1 the lane; then for each stream three, all in one slot: it, its slow stream, the flag that its backlog is full
-- ARGV: 1 this attempt's number in the lane; 2 seconds the lane is remembered; 3 how large a backlog may be;
--       then for each command: index of its stream in KEYS, how many arguments follow, field, value, ...
-- Returns: {1 if this number was seen before, else 0; entry id of each command in order}; or the error
--          FULL <backlog> <stream>, and nothing was published
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
local most = tonumber(ARGV[3])
for i = 2, #KEYS, 3 do
  if redis.call('XLEN', KEYS[i]) + redis.call('XLEN', KEYS[i + 1]) >= most then
    -- include: backlog.lua
    local refusal = full(KEYS[i], KEYS[i + 1], KEYS[i + 2], most, true)
    if refusal then return refusal end
  end
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
