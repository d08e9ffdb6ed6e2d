#!lua flags=no-writes,allow-oom
-- Reads the next members of a doomed index.
-- KEYS: 1 the doomed index
-- ARGV: 1 how many at most
-- Returns: digests of entries
return redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)
