#!lua
-- Makes due, by a clock that a test has moved, what waits in one partition: the server's own clock cannot be moved.
-- KEYS: sorted sets of what waits
-- ARGV: 1 the time by the test's clock (ms)
-- Returns: when the next one that is not due yet will be (ms), or -1
local soonest = -1
for i = 1, #KEYS do
  for _, first in ipairs(redis.call('ZRANGE', KEYS[i], '-inf', ARGV[1], 'BYSCORE')) do
    redis.call('ZADD', KEYS[i], 0, first)
  end
  local next = redis.call('ZRANGE', KEYS[i], '(' .. ARGV[1], '(+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  if next[2] and (soonest < 0 or tonumber(next[2]) < soonest) then soonest = tonumber(next[2]) end
end
return soonest
