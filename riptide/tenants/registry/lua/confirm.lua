#!lua flags=allow-oom
-- Ends a reservation whose tenant has been created, and tells the operators' audit trail.
-- KEYS: 1 reservations; 2 the operators' audit trail
-- ARGV: 1 id; 2 incarnation that reserved it; 3 ms that audit records are kept, 0: none is written; then the audit
--       record's field, value, ...
-- Returns: 1, or 0 if there is no such reservation any more
-- include: riptide.tenants.registry audit.lua
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held or string.match(held, '^%x+') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
tell(KEYS[2], now, 3)
return 1
