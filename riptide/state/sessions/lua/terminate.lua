#!lua flags=allow-oom
-- Ends a session; also one of a tenant that is not active.
-- KEYS: 1 account; 2 index of sessions; 3 the tenant's record; 4 session; 5 spilled sessions; 6 blobs; 7 sessions by user
-- ARGV: 1 incarnation of the tenant, '' for one without a record; 2 not used; 3 the session's id
-- Returns: 1, or 0 if there is none; {'facts'} if the tenant is not the one it was taken for; {'behind'} if the account has
--          to be settled first

-- include: riptide.state.sessions session.lua

if (redis.call('HGET', KEYS[3], 'incarnation') or '') ~= ARGV[1] then return {'facts'} end
local found = redis.call('HMGET', KEYS[4], 'expires', 'size', 'user', 'blob')
if not found[1] then return 0 end
if not settle() then return {'behind'} end
local before, ended = tonumber(found[1]), 0
if before > at then
  count(before, -1, -(found[2] + OVERHEAD))
  ended = 1
end
redis.call('ZREM', KEYS[2], ARGV[3])
redis.call('ZREM', KEYS[7], found[3] .. ':' .. ARGV[3])
redis.call('UNLINK', KEYS[4])
if found[4] then
  redis.call('ZREM', KEYS[5], ARGV[3])
  redis.call('ZADD', KEYS[6], 0, found[4])
end
keep()
return ended
