#!lua flags=allow-oom
-- Moves one command to the dead letters.
-- KEYS: 1 the consumer's fence; 2 the stream; 3 retries; 4 bodies of retries; 5 dead letters; 6 result
-- ARGV: 1 group; 2 entry id; 3 first entry id; 4 seconds to keep the result; 5 error; 6 attempts; then the dead letter's field, value, ...
-- Returns: 1 if it was pending, 0 if not, -1 if the consumer has been fenced off; nothing was done for 0 and -1
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.call('XACK', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 0 end
local dead = redis.call('XADD', KEYS[5], '*', unpack(ARGV, 7))
redis.call('ZREM', KEYS[3], ARGV[3])
redis.call('HDEL', KEYS[4], ARGV[3])
redis.call('HSET', KEYS[6], 'state', 'dead', 'attempts', ARGV[6], 'error', ARGV[5], 'dead', dead)
redis.call('EXPIRE', KEYS[6], ARGV[4])
return 1
