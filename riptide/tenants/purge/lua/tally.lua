#!lua flags=allow-oom
-- Counts what a purge has removed, so that who goes on with it after a crash can tell.
-- KEYS: 1 counts of this purge; 2 purges that have ended
-- ARGV: 1 seconds to remember; 2 what; 3 how many; 4 incarnation
-- Returns: how many in all; 0 if it has ended
if redis.call('HEXISTS', KEYS[2], ARGV[4]) == 1 then return 0 end
local sum = redis.call('HINCRBY', KEYS[1], ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return sum
