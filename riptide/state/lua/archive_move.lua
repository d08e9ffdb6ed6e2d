#!lua flags=allow-oom
-- Moves the archive's group over what a segment holds that is durable now. Only forward, and only without a gap.
-- KEYS: 1 who archives; 2 the stream
-- ARGV: 1 group; 2 token of the lease; 3 type; 4 id after which the segment begins; 5 its last id; 6 how many entries it holds
-- Returns: 1 if it was moved, 0 if it stands elsewhere, -1 if the lease is another's; nothing was done for 0 and -1
-- include: fields.lua
-- include: groups.lua
-- include: ids.lua
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return -1 end
local group = groups_of(KEYS[2])[ARGV[1]]
if not group then return 0 end
local position = group['last-delivered-id']
if later(ARGV[4], position) or not later(ARGV[5], position) then return 0 end
local stream = fields(redis.call('XINFO', 'STREAM', KEYS[2]))
local read = group['entries-read'] and group['entries-read'] + ARGV[6] or -1
if not later(stream['last-generated-id'], ARGV[5]) then read = stream['entries-added'] end
redis.call('XGROUP', 'SETID', KEYS[2], ARGV[1], ARGV[5], 'ENTRIESREAD', string.format('%.0f', read))
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'position:' .. ARGV[3], ARGV[5], 'moved:' .. ARGV[3], time[1])
redis.call('HINCRBY', KEYS[1], 'archived:' .. ARGV[3], ARGV[6])
return 1
