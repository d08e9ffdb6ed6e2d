#!lua flags=allow-oom
-- Remembers what is told of.
-- KEYS: 1 what is remembered
-- ARGV: 1 how many are forgotten; their names; then name, state, ... of the others
-- Returns: 1
local gone = tonumber(ARGV[1])
for i = 2, 1 + gone do redis.call('HDEL', KEYS[1], ARGV[i]) end
for i = 2 + gone, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1
