#!lua
-- Publishes commands again, each once, however often it is asked to; none while the backlog is full.
-- KEYS: 1 the stream; 2 its slow stream; 3 the flag that says that its backlog is full; 4 purged tenants;
--       5.. for each command what remembers that it was sent
-- ARGV: 1 seconds to remember; 2 how large a backlog may be;
--       then for each command: the field that tells of its tenant's purge; the tenant's incarnation, '' for any;
--       how many arguments follow, field, value, ...
-- Returns: for each command 1, or 0 if it had been sent before, or its tenant was purged; nothing if the backlog is full
local most = tonumber(ARGV[2])
if redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[2]) >= most then
  -- include: backlog.lua
  if full(KEYS[1], KEYS[2], KEYS[3], most) then return {} end
end
local reply = {}
local at = 3
local sent = {}
local known = redis.call('EXISTS', unpack(KEYS, 5)) > 0 -- nearly always none is: then no other call asks
for i = 5, #KEYS do
  local field, incarnation, count = unpack(ARGV, at, at + 2)
  local purge = incarnation ~= '' and redis.call('HGET', KEYS[4], field)
  local purged = purge and (purge == incarnation or purge == incarnation .. ' over')
  local fresh = not purged and not sent[KEYS[i]] and not (known and redis.call('EXISTS', KEYS[i]) == 1)
  if fresh then
    local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, at + 3, at + 2 + count))
    redis.call('SET', KEYS[i], '1 ' .. id, 'EX', ARGV[1])
    sent[KEYS[i]] = true
  end
  reply[#reply + 1] = fresh and 1 or 0
  at = at + 3 + count
end
return reply
