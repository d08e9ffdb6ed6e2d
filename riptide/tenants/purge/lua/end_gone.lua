#!lua flags=allow-oom
-- Ends a purge in one partition: from now on it removes nothing there any more.
-- KEYS: 1 purged tenants
-- ARGV: 1 digest of the tenant's id; 2 incarnation
-- Returns: 1, also if that had been done before; 0 if another purge of the same id came after it
local field = ARGV[1] .. ':state'
local state, over = redis.call('HGET', KEYS[1], field), ARGV[2] .. ' over'
if state ~= ARGV[2] and state ~= over then return 0 end
redis.call('HSET', KEYS[1], field, over)
return 1
