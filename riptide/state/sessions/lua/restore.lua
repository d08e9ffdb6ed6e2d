#!lua
-- Puts a spilled session's data back, unless something has changed it.
-- KEYS: 1 account; 2 index of sessions; 3 the tenant's record; 4 session; 5 spilled sessions; 6 blobs
-- ARGV: 1 incarnation of the tenant, '' for one without a record; 2 not used; 3 the session's id; 4 the blob; 5
--       microseconds that reading it took; then field, value, ...
-- Returns: 1, or 0 if that blob is not its data any more; {'facts'} if the tenant is not the one it was taken for;
--          {'behind'} if the account has to be settled first

-- include: riptide.state.sessions session.lua

if (redis.call('HGET', KEYS[3], 'incarnation') or '') ~= ARGV[1] then return {'facts'} end
local found = redis.call('HMGET', KEYS[4], 'expires', 'size', 'rev', 'blob')
if found[4] ~= ARGV[4] then return 0 end
if not settle() then return {'behind'} end
local before = tonumber(found[1])
if before <= at then return 0 end
local grown = -4 - #ARGV[4]
for i = 6, #ARGV do grown = grown + #ARGV[i] end
count(before, 0, grown)
redis.call('HDEL', KEYS[4], 'blob')
redis.call('HSET', KEYS[4], 'size', found[2] + grown, 'rev', found[3] + 1, unpack(ARGV, 6))
redis.call('ZREM', KEYS[5], ARGV[3])
redis.call('ZADD', KEYS[6], 0, ARGV[4])
redis.call('HINCRBY', KEYS[1], 'restored', 1)
redis.call('HINCRBY', KEYS[1], 'restored:us', ARGV[5])
keep()
return 1
