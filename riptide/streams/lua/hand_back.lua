#!lua flags=allow-oom
-- Puts a command that was delivered but not started back into its stream, for any worker.
-- KEYS: 1 the consumer's fence; 2 the stream; 3 retries; 4 bodies of retries
-- ARGV: 1 group; 2 entry id; 3 first entry id; 4 command id; 5 issued at (ms); 6 attempts so far; 7 the original fields, packed;
--       8 which stream it is, as in returned.lua
-- Returns: 1 if it was pending, 0 if not, -1 if the consumer has been fenced off; nothing was done for 0 and -1
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.call('XACK', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 0 end
local back = redis.call('XADD', KEYS[2], '*', 'id', ARGV[4], 'at', ARGV[5], 'src', ARGV[3], 'attempts', ARGV[6], 'orig', ARGV[7])
redis.call('ZADD', KEYS[3], '+inf', ARGV[3])
redis.call('HSET', KEYS[4], ARGV[3], back .. ARGV[8]) -- whoever is given it can tell it from a forged one
return 1
