#!lua flags=allow-oom
-- Writes an audit record of something that changed no tenant's record.
-- KEYS: 1 audit trail
-- ARGV: 1 ms that audit records are kept, 0: none is written; then its field, value, ...
-- Returns: 1
-- include riptide.tenants.registry audit.lua
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
tell(KEYS[1], now, 1)
return 1
