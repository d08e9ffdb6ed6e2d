#!lua flags=allow-oom
-- Changes a tenant's record, if it still stands as its reader saw it, and says so in the tenant's audit trail.
-- KEYS: 1 record; 2 the tenant's audit trail
-- ARGV: 1 incarnation; 2 revision that was read; 3 what this change is known by; 4 how many of the next arguments
--       are fields to remove; 5 how many after these are field, value, ... to set; these; then ms that audit
--       records are kept, 0: none is written; the audit record's field, value, ...
-- Returns: {revision, now}, also when this had been done before; {} if the record is another by now, or gone
-- include: riptide.tenants.registry audit.lua
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%.0f', now)
local incarnation, revision, change, changed =
  unpack(redis.call('HMGET', KEYS[1], 'incarnation', 'revision', 'change', 'changed_ms'))
if incarnation ~= ARGV[1] then return {} end
if change == ARGV[3] then return {revision, changed} end
if revision ~= ARGV[2] then return {} end
local removed, set = 5 + ARGV[4], 5 + ARGV[4] + ARGV[5]
if removed > 5 then redis.call('HDEL', KEYS[1], unpack(ARGV, 6, removed)) end
redis.call('HSET', KEYS[1], 'change', ARGV[3], 'changed_ms', stamp, unpack(ARGV, removed + 1, set))
tell(KEYS[2], now, set + 1)
return {tostring(redis.call('HINCRBY', KEYS[1], 'revision', 1)), stamp}
