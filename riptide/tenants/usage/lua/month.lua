#!lua flags=no-writes,allow-oom
-- Reads what was counted of one month of a tenant in one partition.
-- KEYS: 1 its sums of that month; 2 its seals
-- ARGV: 1 the month
-- Returns: {how often the month has been sealed here; then field, value, ... of the sums}
local reply = redis.call('HGETALL', KEYS[1])
table.insert(reply, 1, tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0))
return reply
