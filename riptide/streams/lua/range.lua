#!lua flags=no-writes
-- Reads a stream. A script, because clients give a plain XRANGE forms of their own.
-- KEYS: 1 the stream
-- ARGV: 1 first id; 2 last id; 3 how many at most
-- Returns: {id, fields} of each entry
return redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
