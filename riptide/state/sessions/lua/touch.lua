#!lua flags=allow-oom
-- Lets a session live for its whole time again.
-- KEYS: 1 account; 2 index of sessions; 3 the tenant's record; 4 session; 5 spilled sessions; 6 blobs
-- ARGV: 1 incarnation of the tenant, '' for one without a record; 2 id of the tenant's data key, 0: its data is not
--       encrypted; 3 the session's id
-- Returns: the second at which it expires; 0 if there is none; {'facts'} if the tenant is not the one it was taken for;
--          {'behind'} if the account has to be settled first

-- include: riptide.state.sessions session.lua

if outdated() then return {'facts'} end
local found = redis.call('HMGET', KEYS[4], 'ttl', 'expires', 'size', 'blob')
if not found[1] then return 0 end
if not settle() then return {'behind'} end
local before = tonumber(found[2])
if before <= at then return 0 end
local expires = renew(before, found[1], tonumber(found[3]), 0)
if expires ~= before then
  redis.call('HSET', KEYS[4], 'expires', expires)
  if found[4] then
    redis.call('ZADD', KEYS[5], 'XX', expires, ARGV[3])
    redis.call('ZADD', KEYS[6], 'XX', expires, found[4])
  end
end
keep()
return expires
