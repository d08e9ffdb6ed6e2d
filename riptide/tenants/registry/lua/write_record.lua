#!lua
-- Writes the record of a new tenant, unless there is one or the time for it is over: then another may have
-- reserved the id. Says so in the tenant's audit trail.
-- KEYS: 1 record; 2 the tenant's audit trail
-- ARGV: 1 incarnation; 2 when the id was reserved, ms; 3 ms within which it has to be written; 4 how many of the
--       next arguments are the record's field, value, ...; after these: ms that audit records are kept, 0: none
--       is written; the audit record's field, value, ...
-- Returns: 'written', also when this had been done before; 'exists'; 'late'
-- include: riptide.tenants.registry audit.lua
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = 4 + ARGV[4]
local there = redis.call('HGET', KEYS[1], 'incarnation')
if there then return there == ARGV[1] and 'written' or 'exists' end
if now - ARGV[2] > tonumber(ARGV[3]) then return 'late' end
redis.call('HSET', KEYS[1], 'incarnation', ARGV[1], unpack(ARGV, 5, last))
tell(KEYS[2], now, last + 1)
return 'written'
