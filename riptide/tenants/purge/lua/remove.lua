#!lua flags=allow-oom
-- Removes keys of a tenant in one slot, as long as that purge goes on.
-- KEYS: 1 a hash that tells; 2.. the keys, fewer than 1,000
-- ARGV: 1 the field of it; 2 the value that it has while the purge goes on
-- Returns: how many there were; -1 if the purge is over
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return -1 end
return redis.call('UNLINK', unpack(KEYS, 2))
