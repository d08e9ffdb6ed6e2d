#!lua
-- Creates a session, unless the tenant has as many as it may have.
-- KEYS: 1 account; 2 index of sessions; 3 the tenant's record; 4 session; 5 sessions by user
-- ARGV: 1 incarnation of the tenant, '' for one without a record; 2 id of the tenant's data key, 0: its data is not
--       encrypted; 3 the session's id; 4 most sessions where the record does not say, -1: unlimited; 5 seconds to live;
--       6 digest of the user's id; then field, value, ...
-- Returns: {ms at which it was created, second at which it expires}; {'over', sessions, most}; {'facts'} if the tenant is
--          not the one it was taken for; {'behind'} if the account has to be settled first

-- include: riptide.state.sessions session.lua

if outdated() then return {'facts'} end
local found = redis.call('HMGET', KEYS[4], 'created', 'expires')
if found[1] then return {tonumber(found[1]), tonumber(found[2])} end -- by an earlier try of this very call
if not settle() then return {'behind'} end
local most = tonumber(redis.call('HGET', KEYS[3], 'limit:active_sessions') or ARGV[4])
if most >= 0 and entries >= most then
  keep()
  return {'over', entries, most}
end
local size = 0
for i = 7, #ARGV do size = size + #ARGV[i] end
local expires = math.ceil((now + ARGV[5] * 1000) / 1000)
redis.call('HSET', KEYS[4], 'ttl', ARGV[5], 'expires', expires, 'created', string.format('%.0f', now), 'size', size,
           'rev', 1, 'user', ARGV[6], unpack(ARGV, 7))
redis.call('PEXPIREAT', KEYS[4], expires * 1000)
redis.call('ZADD', KEYS[2], expires, ARGV[3])
redis.call('ZADD', KEYS[5], 0, ARGV[6] .. ':' .. ARGV[3])
count(expires, 1, size + OVERHEAD)
keep()
return {now, expires}
