#!lua flags=allow-oom
-- Keeps figures for all processes.
-- KEYS: 1 figures
-- ARGV: 1 the figures; 2 seconds that they are kept
-- Returns: 1
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
