#!lua flags=allow-oom
-- Takes expired entries off the account.
-- KEYS: 1 account; 2 index of entries; 3 namespaces with garbage
-- ARGV: 1 '1' to do so although nothing has expired, so that the bytes held up to now are in the month's integral
-- Returns: {1 if there is more to be done, entries, bytes, how many namespaces have garbage, entries and bytes by which
--          other slots of the tenant have enlarged the part of this one}

-- include: riptide.tenants.accounts account.lua

local again = 0
if ARGV[1] == '1' or #redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', second, 'LIMIT', 0, 1) > 0 then
  local settled = settle()
  keep()
  if not settled or #redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', at, 'LIMIT', 0, 1) > 0 then again = 1 end
end
local shift = redis.call('HMGET', KEYS[1], 'shift:entries', 'shift:bytes')
return {again, entries, bytes, redis.call('ZCARD', KEYS[3]), tonumber(shift[1]) or 0, tonumber(shift[2]) or 0}
