#!lua flags=no-writes
-- Tells what the living members say of themselves.
-- To an asker that has not itself been beating for a full lease all members live: after an outage all look dead.
-- KEYS: 1 members by last beat; 2 what each says of itself; 3 since when each beats without a gap
-- ARGV: 1 lease in ms; 2 the member that asks
-- Returns: JSON of each member that has beaten within a lease
local time = redis.call('TIME')
local overdue = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
local beat, since = redis.call('ZSCORE', KEYS[1], ARGV[2]), redis.call('HGET', KEYS[3], ARGV[2])
local may_judge = beat and since and tonumber(beat) > overdue and tonumber(since) <= overdue
local reply = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], may_judge and '(' .. overdue or '-inf', '+inf', 'BYSCORE')) do
  reply[#reply + 1] = redis.call('HGET', KEYS[2], member) or nil
end
return reply
