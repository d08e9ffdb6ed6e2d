#!lua flags=allow-oom
-- Takes a process that is no worker off the list.
-- KEYS: 1 services by last sign of life; 2 what each says of itself
-- ARGV: 1 its name
-- Returns: 1 if it was listed, else 0
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
