#!lua flags=allow-oom
-- Moves one command to the dead letters.
-- KEYS: 1 the consumer's fence; 2 the stream; 3 retries; 4 dead letters; 5 result
-- ARGV: 1 group; 2 entry id; 3 first entry id; 4 seconds to keep the result; 5 error; 6 attempts; then the dead letter's field, value, ...
-- Returns: 1 if it was pending, 0 if not, -1 if the consumer has been fenced off; nothing was done for 0 and -1
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
if redis.call('XACK', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 0 end
local dead = redis.call('XADD', KEYS[4], '*', unpack(ARGV, 7))
-- Only what is back in its stream: a forged entry may name a command that still waits.
if redis.call('ZSCORE', KEYS[3], ARGV[3]) == 'inf' then redis.call('ZREM', KEYS[3], ARGV[3]) end
redis.call('HSET', KEYS[5], 'state', 'dead', 'attempts', ARGV[6], 'error', ARGV[5], 'dead', dead)
redis.call('EXPIRE', KEYS[5], ARGV[4])
return 1
