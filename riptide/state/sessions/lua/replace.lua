#!lua
-- Replaces all of a session's data.
-- KEYS: 1 account; 2 index of sessions; 3 the tenant's record; 4 session; 5 spilled sessions; 6 blobs
-- ARGV: 1 incarnation of the tenant, '' for one without a record; 2 id of the tenant's data key, 0: its data is not
--       encrypted; 3 the session's id; 4 most bytes of a session; then field, value, ...
-- Returns: the second at which it expires; 0 if there is none; {'large', bytes, 0} if that would be too much; {'facts'} if
--          the tenant is not the one it was taken for; {'behind'} if the account has to be settled first

-- include: riptide.state.sessions session.lua

if outdated() then return {'facts'} end
local found = redis.call('HMGET', KEYS[4], 'ttl', 'expires', 'size', 'rev', 'blob', 'created', 'user', 'meta')
if not found[1] then return 0 end
if not settle() then return {'behind'} end
local before, size = tonumber(found[2]), tonumber(found[3])
if before <= at then return 0 end
local wanted = 4 + #found[8]
for i = 5, #ARGV do wanted = wanted + #ARGV[i] end
if wanted > tonumber(ARGV[4]) then
  keep()
  return {'large', wanted, 0}
end
redis.call('UNLINK', KEYS[4])
local expires = renew(before, found[1], size, wanted - size)
redis.call('HSET', KEYS[4], 'ttl', found[1], 'expires', expires, 'created', found[6], 'size', wanted, 'rev', found[4] + 1,
           'user', found[7], 'meta', found[8], unpack(ARGV, 5))
redis.call('PEXPIREAT', KEYS[4], expires * 1000)
if found[5] then
  redis.call('ZREM', KEYS[5], ARGV[3])
  redis.call('ZADD', KEYS[6], 0, found[5])
end
keep()
return expires
