#!lua flags=allow-oom
-- Tells what is known of a file, and remembers it if nothing is.
-- KEYS: 1 what is known of the file
-- ARGV: 1 SHA-256 of its document; 2 the document; 3 seconds that it is remembered
-- Returns: SHA-256 of its document when one of its changes was last accepted, or when it was first seen
if redis.call('HSETNX', KEYS[1], 'digest', ARGV[1]) == 1 then redis.call('HSET', KEYS[1], 'document', ARGV[2]) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return redis.call('HGET', KEYS[1], 'digest')
