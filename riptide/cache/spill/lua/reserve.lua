#!lua flags=allow-oom
-- Counts blobs that are about to be written, as many as the tenant may have: in order, until one does not fit.
-- KEYS: 1 account of the tenant; 2 account of its sessions; 3 blobs of entries; 4 the tenant's record
-- ARGV: 1 incarnation of the tenant, '' for one without a record; 2 most bytes of blobs where the record does not say, -1:
--       unlimited; 3 seconds after which can be judged what became of them; then name, bytes, ...
-- Returns: how many of them may be written; {'facts'} if the tenant is not the one it was taken for

-- include: riptide.tenants.accounts storage.lua

local record = redis.call('HMGET', KEYS[4], 'incarnation', 'limit:storage_bytes')
if (record[1] or '') ~= ARGV[1] then return {'facts'} end
local second = tonumber(redis.call('TIME')[1])
local most = tonumber(record[2] or ARGV[2])
local stored = (redis.call('HGET', KEYS[1], 'storage') or 0) + (redis.call('HGET', KEYS[2], 'storage') or 0)
local count, more = 0, 0
for i = 4, #ARGV, 2 do
  if most >= 0 and stored + more + ARGV[i + 1] > most then break end
  -- Once more by a repeated call: it is counted already.
  if redis.call('ZADD', KEYS[3], -(second + ARGV[3]), ARGV[i] .. ':' .. ARGV[i + 1]) == 1 then more = more + ARGV[i + 1] end
  count = count + 1
end
if more > 0 then store(KEYS[1], KEYS[1], 'storage:at', second, more) end
return count
