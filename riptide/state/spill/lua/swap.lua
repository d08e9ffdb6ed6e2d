#!lua flags=allow-oom
-- Leaves a stub in place of a session whose data is in a blob now, unless it has changed since it was read.
-- KEYS: 1 account; 2 index of sessions; 3 the tenant's record; 4 session; 5 spilled sessions; 6 blobs; 7 account of the
--       tenant
-- ARGV: 1 incarnation of the tenant, '' for one without a record; 2 not used; 3 the session's id; 4 what its `rev` was;
--       5 ms at which it was read; 6 ms after which its blob may have been taken for an orphan; 7 the blob; 8 its bytes;
--       9 most bytes of blobs where the record does not say, -1: unlimited; 10 microseconds that writing it took
-- Returns: by how many bytes that makes it smaller; 0 if nothing was done; {'full', bytes of blobs, most} if the tenant
--          may not have so much; {'facts'} if the tenant is not the one it was taken for; {'behind'} if the account has
--          to be settled first

-- include: riptide.state.sessions session.lua
-- include: riptide.tenants.accounts storage.lua

local record = redis.call('HMGET', KEYS[3], 'incarnation', 'limit:storage_bytes')
if (record[1] or '') ~= ARGV[1] then return {'facts'} end
local fields = {'ttl', 'expires', 'size', 'rev', 'created', 'user', 'meta', 'blob'}
local found = redis.call('HMGET', KEYS[4], unpack(fields))
if found[4] ~= ARGV[4] or found[8] then return 0 end
if not settle() then return {'behind'} end
local before, left = tonumber(found[2]), 4 + #found[7]
if before <= at or now - ARGV[5] > tonumber(ARGV[6]) or found[3] - left <= #ARGV[7] then
  keep()
  return 0
end
-- Blobs of entries count, too.
local storage, most = (redis.call('HGET', KEYS[1], 'storage') or 0) + ARGV[8], tonumber(record[2] or ARGV[9])
storage = storage + (redis.call('HGET', KEYS[7], 'storage') or 0)
if most >= 0 and storage > most then
  keep()
  return {'full', storage, most}
end
local freed = found[3] - left - #ARGV[7] - 4
left = left + #ARGV[7] + 4
count(before, 0, -freed)
-- A hash that was large stays so when its fields go.
redis.call('UNLINK', KEYS[4])
redis.call('HSET', KEYS[4], 'ttl', found[1], 'expires', before, 'size', left, 'rev', found[4] + 1, 'created', found[5],
           'user', found[6], 'meta', found[7], 'blob', ARGV[7])
redis.call('PEXPIREAT', KEYS[4], before * 1000)
redis.call('ZADD', KEYS[5], before, ARGV[3])
redis.call('ZADD', KEYS[6], before, ARGV[7])
store(KEYS[1], KEYS[7], 'storage:sessions:at', second, tonumber(ARGV[8]))
redis.call('HINCRBY', KEYS[1], 'spilled', 1)
redis.call('HINCRBY', KEYS[1], 'spilled:us', ARGV[10])
keep()
return freed
