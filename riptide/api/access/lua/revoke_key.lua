#!lua flags=allow-oom
-- Revokes an API key, for good. It stays in the list for a while, so that no restore brings it back.
-- KEYS: 1 the key; 2 list of its owner's keys; 3 its owner's audit trail
-- ARGV: 1 id; 2 ms for which it is kept; then the audit record
-- Returns: 'revoked', also when it was before; 'unknown'
-- include: riptide.tenants.registry audit.lua
local found = redis.call('HMGET', KEYS[1], 'digest', 'revoked')
if not found[1] then return 'unknown' end
if found[2] then return 'revoked' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = string.format('%.0f', now + ARGV[2])
redis.call('HSET', KEYS[1], 'revoked', string.format('%.0f', now))
redis.call('PEXPIREAT', KEYS[1], ends)
redis.call('ZADD', KEYS[2], ends, ARGV[1])
tell(KEYS[3], now, 3)
return 'revoked'
