#!lua flags=no-writes,allow-oom
-- Lists blobs of entries, step by step: one that is there all the time comes at least once.
-- KEYS: 1 blobs of entries
-- ARGV: 1 cursor, 0 to begin; 2 about how many
-- Returns: {the next cursor, 0 at the end; {member, score, ...}}
return redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
