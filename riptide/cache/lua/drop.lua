#!lua flags=allow-oom
-- Removes entries by key, and ends the leases of loads that are under way for them.
-- KEYS: the n entries; then their n leases
-- ARGV: none
-- Returns: how many entries there were
local half = #KEYS / 2
redis.call('DEL', unpack(KEYS, half + 1))
return redis.call('UNLINK', unpack(KEYS, 1, half))
