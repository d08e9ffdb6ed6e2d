#!lua flags=allow-oom
-- Notes up to which entry usage has been counted that was never in this stream. Only forward, and not beyond what waits
-- in the stream for a worker.
-- KEYS: 1 what restores have counted; 2 the stream
-- ARGV: 1 type, or <type>:<digest of a tenant>; 2 entry id; 3 group
-- Returns: 1 if it moved
-- include: groups.lua
-- include: ids.lua
local group, counted = groups_of(KEYS[2])[ARGV[3]], ARGV[2]
local given = group and group['last-delivered-id'] or '0-0'
local waiting = redis.pcall('XRANGE', KEYS[2], '(' .. given, '+', 'COUNT', 1)
local first = not waiting.err and waiting[1] and waiting[1][1]
if first and not later(first, counted) then
  -- What was lost came in an earlier millisecond; what came in this one before has been given out.
  local before = tonumber(string.match(first, '^%d+')) - 1
  counted = string.format('%.0f', before) .. '-18446744073709551615'
end
local there = redis.call('HGET', KEYS[1], ARGV[1])
if there and not later(counted, there) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], counted)
return 1
