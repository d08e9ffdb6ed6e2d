#!lua
-- Publishes one command once, however often the call is repeated.
-- KEYS: 1 the lane; 2 the stream
-- ARGV: 1 this attempt's number in the lane; 2 seconds the lane is remembered; then the entry's field, value, ...
-- Returns: the entry id; in a table of its own if this number was seen before
local last = redis.call('GET', KEYS[1])
if last then
  local space = string.find(last, ' ', 1, true)
  local seen = string.sub(last, 1, space - 1)
  if seen == ARGV[1] then return {string.sub(last, space + 1)} end
  if tonumber(seen) > tonumber(ARGV[1]) then
    return redis.error_reply('LANE number ' .. ARGV[1] .. ' comes after ' .. seen)
  end
end
local id = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3))
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. id, 'EX', ARGV[2])
return id
