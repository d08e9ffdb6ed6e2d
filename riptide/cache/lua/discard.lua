#!lua flags=allow-oom
-- Removes a damaged entry, unless another value has taken its place.
-- KEYS: 1 entry
-- ARGV: 1 SHA-1 of the damaged value, hex
-- Returns: 1 if it was removed, else 0
local value = redis.call('GET', KEYS[1])
if not value or redis.sha1hex(value) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
