#!lua flags=no-writes,allow-oom
-- Lists what is read most, step by step: what is there all the time comes at least once.
-- KEYS: 1 popular; 2 load times
-- ARGV: 1 cursor, 0 to begin; 2 about how many, some hundreds at most
-- Returns: {the server's time (s), the next cursor, 0 at the end; {member, score, ...}; the load time of each, or nil}
local page = redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local members, times = {}, {}
for i = 1, #page[2], 2 do members[#members + 1] = page[2][i] end
if #members > 0 then times = redis.call('HMGET', KEYS[2], unpack(members)) end
return {tonumber(redis.call('TIME')[1]), page[1], page[2], times}
