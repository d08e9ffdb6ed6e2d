#!lua flags=allow-oom
-- Raises a consumer's fence in one partition: also on a full server, which nobody could drain otherwise.
-- KEYS: 1 the consumer's fence
-- ARGV: none
-- Returns: OK
return redis.call('SET', KEYS[1], '1')
