-- new_key(now, incarnation): writes the API key KEYS[1] and lists it in KEYS[2], and tells the trail KEYS[3]; of those that
-- may be forgotten, KEYS[4] says no longer when they were used. ARGV: 1 id; 2 digest; 3 how many keys there may be in the list; 4 ms after which it expires, 0: never; 5 ms for which it is kept
-- after that; 6 how many of the next arguments are its field, value, ...; the audit record. Answers 'made', also when
-- this had been done before, or 'full'.
-- include: riptide.tenants.registry audit.lua
local function new_key(now, incarnation)
  if redis.call('HGET', KEYS[1], 'digest') == ARGV[2] then return 'made' end
  local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now), 'LIMIT', 0, 500)
  if #over > 0 then
    redis.call('ZREM', KEYS[2], unpack(over))
    redis.call('HDEL', KEYS[4], unpack(over))
  end
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then return 'full' end
  local last = 6 + ARGV[6]
  redis.call('HSET', KEYS[1], 'digest', ARGV[2], 'made', string.format('%.0f', now), 'incarnation', incarnation,
             'lifetime', ARGV[4], unpack(ARGV, 7, last))
  local ends = '+inf'
  if ARGV[4] ~= '0' then
    ends = string.format('%.0f', now + ARGV[4] + ARGV[5])
    redis.call('HSET', KEYS[1], 'expires', string.format('%.0f', now + ARGV[4]))
    redis.call('PEXPIREAT', KEYS[1], ends)
  end
  redis.call('ZADD', KEYS[2], ends, ARGV[1])
  tell(KEYS[3], now, last + 1)
  return 'made'
end
