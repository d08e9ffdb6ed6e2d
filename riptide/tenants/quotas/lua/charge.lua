#!lua flags=allow-oom
-- Takes of a tenant's rates and totals what fits of what it has used already.
-- KEYS: 1 the tenant's record; 2.. one for each resource
-- ARGV: 1 'record', 'any' (there need be none) or 'none' (it is not looked at); 2 how many resources; for each the
--       record's field of its limit; for each: 'rate' or 'month'; limit where the record has none, -1: unlimited;
--       seconds of the rate's window; then for each the amount
-- Returns: for each resource: how much did not fit, limit, how much is held, ms until the rest would fit; {} nothing was
--          taken, because the tenant is not there, or not active

-- include: riptide.tenants.quotas window.lua
-- include: riptide.tenants.quotas total.lua

local MOST = 4503599627370496 -- as in check.lua
local count = tonumber(ARGV[2])
local record = {}
if ARGV[1] ~= 'none' then
  record = redis.call('HMGET', KEYS[1], 'status', unpack(ARGV, 3, 2 + count))
  if record[1] and record[1] ~= 'active' or not record[1] and ARGV[1] == 'record' then return {} end
end
local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * 1000 + math.floor(time[2] / 1000)
local reply = {}
for i = 1, count do
  local first = 2 + count + 3 * (i - 1)
  local key, amount, wait = KEYS[1 + i], tonumber(ARGV[2 + 4 * count + i]), 0
  local limit = tonumber(record[1 + i] or ARGV[first + 2])
  local rate = ARGV[first + 1] == 'rate'
  local holder = rate and open_window(key, second, tonumber(ARGV[first + 3])) or open_total(key, second)
  local taken = math.min(amount, math.max((limit < 0 and MOST or limit) - holder.sum, 0))
  if taken < amount then
    local free = rate and releases(holder, amount - taken) or holder.next
    wait = math.max(free * 1000 - now, 1000)
  end
  if taken > 0 then
    if rate then add_to_window(holder, taken) else add_to_total(holder, taken) end
  end
  local place = 4 * (i - 1)
  reply[place + 1], reply[place + 2], reply[place + 3], reply[place + 4] = amount - taken, limit, holder.sum, wait
end
return reply
