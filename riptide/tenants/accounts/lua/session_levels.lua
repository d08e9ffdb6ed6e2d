#!lua flags=allow-oom
-- Takes expired sessions off their account, and tells what a tenant's sessions take.
-- KEYS: 1 account; 2 index of sessions; 3 those that are spilled; 4 blobs; 5 account of the tenant
-- ARGV: none
-- Returns: {1 if there is more to be taken off, sessions, bytes in memory, bytes of blobs, spilled sessions, blobs that
--          nobody needs any more, how often one was spilled, microseconds that took, how often one was restored,
--          microseconds that took, bytes of blobs that hold entries}

-- include: riptide.tenants.accounts account.lua

local again = 0
if #redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', second, 'LIMIT', 0, 1) > 0 then
  local settled = settle()
  keep()
  if not settled or #redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', at, 'LIMIT', 0, 1) > 0 then again = 1 end
end
local held = redis.call('HMGET', KEYS[1], 'storage', 'spilled', 'spilled:us', 'restored', 'restored:us')
for i = 1, 5 do held[i] = tonumber(held[i]) or 0 end
local due = redis.call('ZCOUNT', KEYS[4], '-inf', '(' .. second)
local spilled = redis.call('ZCOUNT', KEYS[3], '(' .. second, '+inf')
return {again, entries, bytes, held[1], spilled, due, held[2], held[3], held[4], held[5],
        tonumber(redis.call('HGET', KEYS[5], 'storage')) or 0}
