#!lua flags=allow-oom
-- Takes blobs that have been removed off the account, and sessions that have expired off the list of the spilled ones.
-- KEYS: 1 account; 2 blobs; 3 spilled sessions; 4 account of the tenant
-- ARGV: members of the blobs, `<name>:<bytes>`
-- Returns: how many were taken off

-- include: riptide.tenants.accounts storage.lua

local second = tonumber(redis.call('TIME')[1])
local dropped, bytes = 0, 0
for _, member in ipairs(ARGV) do
  if redis.call('ZREM', KEYS[2], member) == 1 then
    dropped, bytes = dropped + 1, bytes + string.match(member, ':(%d+)$')
  end
end
if bytes > 0 then store(KEYS[1], KEYS[4], 'storage:sessions:at', second, -bytes) end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. second)
return dropped
