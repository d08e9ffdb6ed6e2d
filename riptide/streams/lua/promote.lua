#!lua flags=allow-oom
-- Puts the retries of one partition that are due back into their streams.
-- KEYS: for each type three: retries, bodies of retries, stream
-- ARGV: 1 how many to put back at most, per type
-- Returns: {how many were put back; ms until the next is due, or -1}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local moved, soonest = 0, -1
for i = 1, #KEYS, 3 do
  for _, first in ipairs(redis.call('ZRANGE', KEYS[i], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1])) do
    local body = redis.call('HGET', KEYS[i + 1], first)
    if body then
      local id, at, attempts, original = unpack(cmsgpack.unpack(body))
      local back = redis.call('XADD', KEYS[i + 2], '*', 'id', id, 'at', at, 'src', first, 'attempts', attempts, 'orig', original)
      redis.call('ZADD', KEYS[i], '+inf', first)
      redis.call('HSET', KEYS[i + 1], first, back) -- whoever is given it can tell it from a forged one
      moved = moved + 1
    else
      redis.call('ZREM', KEYS[i], first)
    end
  end
  local next = redis.call('ZRANGE', KEYS[i], '-inf', '(+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  if next[2] and (soonest < 0 or tonumber(next[2]) < soonest) then soonest = tonumber(next[2]) end
end
return {moved, soonest < 0 and -1 or math.max(0, soonest - now)}
