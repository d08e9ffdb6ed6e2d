#!lua flags=allow-oom
-- Notes up to which entry usage has been counted that was never in this stream. Only forward.
-- KEYS: 1 what restores have counted
-- ARGV: 1 type, or <type>:<digest of a tenant>; 2 entry id
-- Returns: 1 if it moved
-- include: ids.lua
local there = redis.call('HGET', KEYS[1], ARGV[1])
if there and not later(ARGV[2], there) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
