#!lua flags=allow-oom
-- Completes commands that were done at their first try.
-- KEYS: 1 the consumer's fence; 2 the stream
-- ARGV: 1 group; 2.. entry ids, fewer than 1,000
-- Returns: how many were pending, or -1 if the consumer has been fenced off and nothing was done
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
return redis.call('XACK', KEYS[2], ARGV[1], unpack(ARGV, 2))
