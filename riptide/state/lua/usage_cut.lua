#!lua flags=no-writes
-- Reads sums of usage of one partition, and which commands they are made of: these belong together.
-- KEYS: 1 the stream; 2 retries; 3 positions of the group; 4 what a restore has counted; 5 which restore was the last;
--       6.. hashes
-- ARGV: 1 group; 2 type; 3 digests of tenants, separated by spaces, or ''
-- Returns: {the last entry that was given out; {entries that are pending}; {first entries of those that wait for a retry or
--          have been put back}; {for each digest the last restore, or ''}; {for each digest up to where a restore of this
--          tenant alone has counted, or ''}; then for each hash {when it expires (Unix s; -1: never), field, value, ...}}
-- include: groups.lua
-- include: ids.lua
local group = groups_of(KEYS[1])[ARGV[1]]
local position = group and group['last-delivered-id'] or redis.call('HGET', KEYS[3], ARGV[2]) or '0-0'
local counted = redis.call('HGET', KEYS[4], ARGV[2])
if counted and later(counted, position) then position = counted end
local pending = {}
if group and group['pending'] > 0 then
  for i, row in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', group['pending'])) do pending[i] = row[1] end
end
local last, alone = {}, {}
for digest in string.gmatch(ARGV[3], '%S+') do
  last[#last + 1] = redis.call('HGET', KEYS[5], digest) or ''
  alone[#alone + 1] = redis.call('HGET', KEYS[4], ARGV[2] .. ':' .. digest) or ''
end
local reply = {position, pending, redis.call('ZRANGE', KEYS[2], 0, -1), last, alone}
for i = 6, #KEYS do
  local sums = redis.call('HGETALL', KEYS[i])
  table.insert(sums, 1, redis.call('EXPIRETIME', KEYS[i]))
  reply[i] = sums
end
return reply
