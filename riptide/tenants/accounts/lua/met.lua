#!lua flags=no-writes,allow-oom
-- Lists tenants without a record, in order.
-- KEYS: 1 tenants without a record
-- ARGV: 1 where to begin, as ZRANGE BYLEX takes it; 2 how many at most
-- Returns: their ids
return redis.call('ZRANGE', KEYS[1], ARGV[1], '+', 'BYLEX', 'LIMIT', 0, ARGV[2])
