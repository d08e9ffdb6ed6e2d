#!lua flags=allow-oom
-- Takes one command out of its stream, to be run again after a delay.
-- KEYS: 1 the consumer's fence; 2 the stream; 3 retries; 4 bodies of retries; 5 result
-- ARGV: 1 group; 2 entry id; 3 first entry id; 4 delay in ms; 5 seconds to keep the result; 6 error;
--       7 command id; 8 issued at (ms); 9 attempts so far; 10 the original fields, packed
-- Returns: when it is due (ms), 0 if it was not pending, -1 if the consumer has been fenced off
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.call('XACK', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 0 end
local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[4])
redis.call('ZADD', KEYS[3], due, ARGV[3])
redis.call('HSET', KEYS[4], ARGV[3], cmsgpack.pack({ARGV[7], ARGV[8], ARGV[9], ARGV[10]}))
redis.call('HSET', KEYS[5], 'state', 'retrying', 'attempts', ARGV[9], 'error', ARGV[6], 'due', due)
redis.call('EXPIRE', KEYS[5], ARGV[5])
return due
