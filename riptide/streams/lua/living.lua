#!lua flags=no-writes
-- Tells what the living members say of themselves.
-- KEYS: 1 members by last beat; 2 what each says of itself
-- ARGV: 1 lease in ms
-- Returns: JSON of each member that has beaten within a lease
local time = redis.call('TIME')
local since = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
local reply = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], '(' .. since, '+inf', 'BYSCORE')) do
  reply[#reply + 1] = redis.call('HGET', KEYS[2], member) or nil
end
return reply
