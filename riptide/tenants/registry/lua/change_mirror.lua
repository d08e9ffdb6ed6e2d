#!lua flags=allow-oom
-- Brings what a shard knows of its tenant's record up to date. It never brings a purged one back, nor an older state.
-- KEYS: 1 the record in the shard's slot
-- ARGV: 1 incarnation; 2 revision; then field, value, ...
-- Returns: 1, or 0 if the shard knows a newer state, or the tenant is gone
local incarnation, revision = unpack(redis.call('HMGET', KEYS[1], 'incarnation', 'revision'))
if incarnation ~= ARGV[1] or tonumber(revision) > tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
