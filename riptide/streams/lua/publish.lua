#!lua
-- Publishes one command once, however often the call is repeated.
-- KEYS: 1 the lane; 2 the stream; 3 its slow stream; 4 the flag that says that its backlog is full
-- ARGV: 1 this attempt's number in the lane; 2 seconds the lane is remembered; 3 how large a backlog may be;
--       then the entry's field, value, ...
-- Returns: the entry id; in a table of its own if this number was seen before; or the error FULL <backlog> <stream>
local last = redis.call('GET', KEYS[1])
if last then
  local space = string.find(last, ' ', 1, true)
  local seen = string.sub(last, 1, space - 1)
  if seen == ARGV[1] then return {string.sub(last, space + 1)} end
  if tonumber(seen) > tonumber(ARGV[1]) then
    return redis.error_reply('LANE number ' .. ARGV[1] .. ' comes after ' .. seen)
  end
end
local most = tonumber(ARGV[3])
if redis.call('XLEN', KEYS[2]) + redis.call('XLEN', KEYS[3]) >= most then
  -- include: backlog.lua
  local refusal = full(KEYS[2], KEYS[3], KEYS[4], most, true)
  if refusal then return refusal end
end
local id = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. id, 'EX', ARGV[2])
return id
