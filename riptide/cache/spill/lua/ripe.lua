#!lua flags=no-writes,allow-oom
-- Lists blobs of entries whose time has come: nobody needs them, their entries have expired as far as is known, or what
-- began them must have ended by now.
-- KEYS: 1 blobs of entries
-- ARGV: 1 how many at most
-- Returns: their members, each with its score
local second = redis.call('TIME')[1]
return redis.call('ZRANGEBYSCORE', KEYS[1], '(-' .. second, '(' .. second, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
