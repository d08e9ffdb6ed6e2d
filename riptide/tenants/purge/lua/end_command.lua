#!lua flags=allow-oom
-- Completes a purge's own command and removes it, because it names the tenant; what became of it stays as its result.
-- KEYS: 1 the consumer's fence; 2 the stream; 3 retries; 4 bodies of retries; 5 result; 6 the type's stream, 7 its slow stream
-- ARGV: 1 group; 2 consumer; 3 entry id; 4 first entry id; 5 seconds to keep the result; 6 it, as JSON
-- Returns: 1; 0 if it was not pending; -1 if the consumer has been fenced off; nothing was done for 0 and -1
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if #redis.call('XPENDING', KEYS[2], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then return 0 end
redis.call('XACK', KEYS[2], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[2], ARGV[3])
redis.call('XDEL', KEYS[6], ARGV[4])
redis.call('XDEL', KEYS[7], ARGV[4])
redis.call('ZREM', KEYS[3], ARGV[4])
redis.call('HDEL', KEYS[4], ARGV[4])
redis.call('DEL', KEYS[5])
redis.call('HSET', KEYS[5], 'state', 'done', 'value', ARGV[6])
redis.call('EXPIRE', KEYS[5], ARGV[5])
return 1
