#!lua flags=allow-oom
-- Invalidates whole namespaces: without its epoch no entry is valid, and no lease taken before can fill.
-- KEYS: 1 namespaces; 2.. their epochs
-- ARGV: the namespaces, in the order of the epochs
-- Returns: how many had an epoch
redis.call('ZREM', KEYS[1], unpack(ARGV))
return redis.call('DEL', unpack(KEYS, 2))
