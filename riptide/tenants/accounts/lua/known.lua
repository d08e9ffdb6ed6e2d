#!lua flags=no-writes,allow-oom
-- Tells which blobs belong to what a tenant has spilled, also of one whose record a restore has not brought back yet.
-- KEYS: 1 the tenant's record; 2 blobs
-- ARGV: 1 incarnation of the tenant, '' for one without a record; then members of the blobs
-- Returns: {the server's time in ms, 1 or 0 for each}
local time = redis.call('TIME')
local answer = {time[1] * 1000 + math.floor(time[2] / 1000)}
local same = (redis.call('HGET', KEYS[1], 'incarnation') or ARGV[1]) == ARGV[1]
for i = 2, #ARGV do answer[i] = same and redis.call('ZSCORE', KEYS[2], ARGV[i]) and 1 or 0 end
return answer
