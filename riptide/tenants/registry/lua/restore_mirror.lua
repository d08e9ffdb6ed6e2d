#!lua flags=allow-oom
-- Writes what a shard needs of its tenant's record, unless it knows a newer state, or another tenant has the id.
-- KEYS: 1 the record in the shard's slot
-- ARGV: 1 incarnation; 2 revision; then field, value, ...
-- Returns: 1 or 0
local incarnation, revision = unpack(redis.call('HMGET', KEYS[1], 'incarnation', 'revision'))
if incarnation and incarnation ~= ARGV[1] then return 0 end
if revision and tonumber(revision) > tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
