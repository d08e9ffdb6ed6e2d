#!lua flags=allow-oom
-- Takes a command that is not due yet out of its stream, to be put back then.
-- KEYS: 1 the consumer's fence; 2 the stream; 3 retries; 4 bodies of retries
-- ARGV: 1 group; 2 entry id; 3 first entry id; 4 when it is due (ms); 5 command id; 6 issued at (ms); 7 attempts so far;
--       8 the original fields, packed
-- Returns: 1 if it was pending, 0 if not, -1 if the consumer has been fenced off; nothing was done for 0 and -1
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.call('XACK', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
redis.call('HSET', KEYS[4], ARGV[3], cmsgpack.pack({ARGV[5], ARGV[6], ARGV[7], ARGV[8]}))
return 1
