#!lua flags=no-writes,allow-oom
-- Tells what a tenant's entries take in the blob store.
-- KEYS: 1 account of the tenant; 2 blobs of entries
-- ARGV: none
-- Returns: {how many are spilled, bytes of blobs, how often one was spilled, microseconds that took, how often one was
--          restored, microseconds that took}
local second = redis.call('TIME')[1]
local answer = redis.call('HMGET', KEYS[1], 'storage', 'spilled', 'spilled:us', 'restored', 'restored:us')
for i = 1, 5 do answer[i] = tonumber(answer[i]) or 0 end
table.insert(answer, 1, redis.call('ZCOUNT', KEYS[2], second, '+inf'))
return answer
