#!lua flags=no-writes,allow-oom
-- Lists blobs that nobody needs any more.
-- KEYS: 1 blobs
-- ARGV: 1 how many at most
-- Returns: their members
local second = redis.call('TIME')[1]
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. second, 'LIMIT', 0, ARGV[1])
