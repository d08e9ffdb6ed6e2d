#!lua
-- Makes an API key. That of a tenant is bound to the tenant's incarnation.
-- KEYS: 1 the key; 2 list of its owner's keys; 3 its owner's audit trail; 4 when its owner's keys were
--       used; 5 the tenant's record, unless it needs none
-- ARGV: see new_key
-- Returns: 'made', also when this had been done before; 'full'; 'gone' there is no such tenant
-- include: riptide.api.access new_key.lua
local incarnation = ''
if KEYS[5] then
  incarnation = redis.call('HGET', KEYS[5], 'incarnation')
  if not incarnation or string.find(incarnation, '%-purging$') then return 'gone' end
end
local time = redis.call('TIME')
return new_key(time[1] * 1000 + math.floor(time[2] / 1000), incarnation)
