#!lua flags=allow-oom
-- Brings what blobs come to over time up to now.
-- KEYS: 1 account of the tenant; 2 account of its sessions
-- ARGV: none
-- Returns: bytes of blobs

-- include: riptide.tenants.accounts storage.lua

local second = tonumber(redis.call('TIME')[1])
return store(KEYS[1], KEYS[1], 'storage:at', second, 0) + store(KEYS[2], KEYS[1], 'storage:sessions:at', second, 0)
