#!lua flags=allow-oom
-- Gives a lease back unused, so that a waiting reader need not wait for its end.
-- KEYS: 1 lease
-- ARGV: 1 token
-- Returns: 1 if the lease was still held, else 0
local lease = redis.call('GET', KEYS[1])
if not lease or string.sub(lease, 9, 24) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
