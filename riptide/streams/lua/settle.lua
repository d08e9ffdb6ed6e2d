#!lua flags=allow-oom
-- Completes one command that has been retried before, returned a value, or was skipped.
-- KEYS: 1 the consumer's fence; 2 the stream; 3 retries; 4 bodies of retries; 5 result
-- ARGV: 1 group; 2 entry id; 3 first entry id; 4 seconds to keep the result; then its field, value, ... (none: no result)
-- Returns: 1 if it was pending, 0 if not, -1 if the consumer has been fenced off; nothing was done for 0 and -1
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.call('XACK', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('ZREM', KEYS[3], ARGV[3])
redis.call('HDEL', KEYS[4], ARGV[3])
redis.call('DEL', KEYS[5])
if #ARGV > 4 then
  redis.call('HSET', KEYS[5], unpack(ARGV, 5))
  redis.call('EXPIRE', KEYS[5], ARGV[4])
end
return 1
