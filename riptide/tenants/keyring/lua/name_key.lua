#!lua flags=allow-oom
-- Names the data key of a tenant that has no record, unless a later one is named already.
-- KEYS: 1 its record, or that in the slot of one of its shards
-- ARGV: 1 revision, one more with each new key; 2 key id
-- Returns: 1, or 0 if it is too late
if tonumber(redis.call('HGET', KEYS[1], 'revision') or 0) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'revision', ARGV[1], 'key', ARGV[2])
return 1
