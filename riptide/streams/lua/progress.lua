#!lua
-- Notes how far a command is, as long as its consumer holds it.
-- KEYS: 1 the consumer's fence; 2 the stream; 3 result
-- ARGV: 1 group; 2 consumer; 3 entry id; 4 seconds to keep it; 5 how far it is (JSON)
-- Returns: 1 if it was noted, else 0
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local pending = redis.pcall('XPENDING', KEYS[2], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])
if pending.err or not pending[1] then return 0 end
redis.call('HSET', KEYS[3], 'progress', ARGV[5])
redis.call('EXPIRE', KEYS[3], ARGV[4])
return 1
