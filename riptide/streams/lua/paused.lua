#!lua flags=no-writes
-- Lists the paused types.
-- KEYS: 1 paused types
-- ARGV: none
-- Returns: {type, since when, by whom and why (JSON), ...}
return redis.call('HGETALL', KEYS[1])
