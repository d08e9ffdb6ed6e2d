#!lua
-- Gives an API key another secret. The one before stays valid for a while; one from before that does not. Where the key
-- has a lifetime, it begins anew.
-- KEYS: 1 the key; 2 list of its owner's keys; 3 its owner's audit trail
-- ARGV: 1 id; 2 new digest; 3 ms for which the one before stays valid; 4 ms for which it is kept after its end; then the
--       audit record
-- Returns: 'rotated', also when this had been done before; 'unknown'; 'over' it was revoked or has expired
-- include: riptide.tenants.registry audit.lua
local found = redis.call('HMGET', KEYS[1], 'digest', 'revoked', 'expires', 'lifetime')
if not found[1] then return 'unknown' end
if found[1] == ARGV[2] then return 'rotated' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if found[2] or found[3] and tonumber(found[3]) <= now then return 'over' end
redis.call('HSET', KEYS[1], 'digest', ARGV[2], 'old', found[1], 'old_until', string.format('%.0f', now + ARGV[3]),
           'rotated', string.format('%.0f', now))
if found[4] ~= '0' then
  local ends = string.format('%.0f', now + found[4] + ARGV[4])
  redis.call('HSET', KEYS[1], 'expires', string.format('%.0f', now + found[4]))
  redis.call('PEXPIREAT', KEYS[1], ends)
  redis.call('ZADD', KEYS[2], ends, ARGV[1])
end
tell(KEYS[3], now, 5)
return 'rotated'
