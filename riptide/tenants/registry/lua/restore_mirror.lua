#!lua flags=allow-oom
-- Writes what a shard needs of its tenant's record, unless it knows a newer state, another tenant has the id, or the tenant
-- was purged.
-- KEYS: 1 the record in the shard's slot; 2 what a restore may bring back without a record
-- ARGV: 1 incarnation; 2 revision; then field, value, ...
-- Returns: 1 or 0
local incarnation, revision = unpack(redis.call('HMGET', KEYS[1], 'incarnation', 'revision'))
if not incarnation and redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
if incarnation and incarnation ~= ARGV[1] then return 0 end
if revision and tonumber(revision) > tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
