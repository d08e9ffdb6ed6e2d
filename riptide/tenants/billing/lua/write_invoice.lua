#!lua
-- Writes an invoice, unless there is one of its number, or a credit note, unless anything was written since it was
-- computed; a repetition changes nothing. Says so in the tenant's audit trail.
-- KEYS: 1 the tenant's invoices; 2 the tenant's record; 3 the tenant's audit trail
-- ARGV: 1 the tenant's incarnation, or empty where it has no record; 2 number; 3 the invoice, JSON; 4 how many
--       there were when a credit note was computed, -1 for an invoice; then: ms that audit records
--       are kept, 0: none is written; the audit record's field, value, ...
-- Returns: the JSON that stands there now; 0 if the tenant is another one by now; 1 if there are others meanwhile
-- include: riptide.tenants.registry audit.lua
if (redis.call('HGET', KEYS[2], 'incarnation') or '') ~= ARGV[1] then return 0 end
local there = redis.call('HGET', KEYS[1], ARGV[2])
if there and (ARGV[4] == '-1' or there == ARGV[3]) then return there end
if ARGV[4] ~= '-1' and redis.call('HLEN', KEYS[1]) ~= tonumber(ARGV[4]) then return 1 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
local time = redis.call('TIME')
tell(KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000), 5)
return ARGV[3]
