#!lua flags=no-writes,allow-oom
-- Lists the namespaces that may hold valid entries or leases in this slot.
-- KEYS: 1 namespaces
-- ARGV: none
-- Returns: their names
return redis.call('ZRANGE', KEYS[1], 0, -1)
