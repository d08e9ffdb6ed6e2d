#!lua flags=allow-oom
-- Closes the record of a tenant that is being purged, in one slot, so that whatever was learnt of it is out of date.
-- KEYS: 1 record
-- ARGV: 1 incarnation; 2 what stands there instead while it is purged
-- Returns: 1 also if that had been done before; 0 if the record is another's, or gone
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
if incarnation ~= ARGV[1] and incarnation ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'incarnation', ARGV[2], 'status', 'disabled')
return 1
