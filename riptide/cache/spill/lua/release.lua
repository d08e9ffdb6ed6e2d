#!lua flags=allow-oom
-- Takes blobs of entries off the account that have been removed.
-- KEYS: 1 account of the tenant; 2 blobs of entries
-- ARGV: members of the blobs, `<name>:<bytes>`
-- Returns: how many were taken off

-- include: riptide.tenants.accounts storage.lua

local dropped, bytes = 0, 0
for _, member in ipairs(ARGV) do
  if redis.call('ZREM', KEYS[2], member) == 1 then
    dropped, bytes = dropped + 1, bytes + string.match(member, ':(%d+)$')
  end
end
if bytes > 0 then store(KEYS[1], KEYS[1], 'storage:at', tonumber(redis.call('TIME')[1]), -bytes) end
return dropped
