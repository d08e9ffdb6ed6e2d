#!lua flags=no-writes,allow-oom
-- Lists the namespaces with garbage.
-- KEYS: 1 namespaces with garbage
-- ARGV: none
-- Returns: {namespace, when it was invalidated, ...}
return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
