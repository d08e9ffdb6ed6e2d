#!lua flags=allow-oom
-- Writes a tenant's record as a checkpoint has it, if it stands as it was seen.
-- KEYS: 1 record; 2 what a restore may bring back without a record
-- ARGV: 1 revision that was seen, '' where there was no record; 2 incarnation; then field, value, ...
-- Returns: 1; 0 if it is another by now; -1 if there is none, because the tenant was purged
local incarnation, revision = unpack(redis.call('HMGET', KEYS[1], 'incarnation', 'revision'))
if not incarnation and redis.call('EXISTS', KEYS[2]) == 0 then return -1 end
if incarnation and incarnation ~= ARGV[2] or (revision or '') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
