#!lua flags=no-writes,allow-oom
-- Lists entries by the second at which they expire.
-- KEYS: 1 index of entries
-- ARGV: 1 after which second; 2 after how many of those; 3 how many at most
-- Returns: {member, second, ...}
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', ARGV[2], ARGV[3])
