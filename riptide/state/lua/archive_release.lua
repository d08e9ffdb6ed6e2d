#!lua flags=allow-oom
-- Gives the lease on archiving one partition back, so that another need not wait for its end.
-- KEYS: 1 who archives
-- ARGV: 1 whose lease it is
-- Returns: 1, or 0 if it is another's
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'until', 0)
return 1
