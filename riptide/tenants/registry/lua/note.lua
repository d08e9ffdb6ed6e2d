#!lua flags=allow-oom
-- Writes an audit record of something that changed no tenant's record; not in the trail of one that is being purged,
-- which would leave it behind.
-- KEYS: 1 audit trail; 2 the tenant's record, if it is a tenant's trail
-- ARGV: 1 ms that audit records are kept, 0: none is written; then its field, value, ...
-- Returns: 1, or 0 if the tenant is gone
-- include: riptide.tenants.registry audit.lua
if KEYS[2] then
  local incarnation = redis.call('HGET', KEYS[2], 'incarnation')
  if not incarnation or string.find(incarnation, '%-purging$') then return 0 end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
tell(KEYS[1], now, 1)
return 1
