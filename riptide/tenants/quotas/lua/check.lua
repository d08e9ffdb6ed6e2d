#!lua flags=allow-oom
-- Takes amounts of a tenant's resources: all of them or, where one does not fit, none.
-- KEYS: 1 the tenant's record; 2.. one for each resource; where refusals suspend: refusals; the tenant's audit trail
-- ARGV: 1 'record', 'any' (there need be none) or 'none' (it is not looked at); 2 how many resources; for each the
--       record's field of its limit; for each: 'rate', 'month' or 'level'; limit where the record has none, -1:
--       unlimited; seconds of the rate's window; then for each the amount. Where that is not all: how much a lease of
--       the first one would like, 0: it is no lease; how many refusals the caller has answered itself; incarnation
--       that the levels are of, or ''; for each the present level; how many refusals suspend the tenant, 0: they never
--       do; within how many seconds; why; ms that audit records are kept, 0: none is written; its field, value, ...
-- Returns: {1 taken, 0 refused, or 2 refused and suspended now; amount taken of the first; for each resource: limit, how
--          much is held, ms until it would fit (0: it fits, -1: never), ms until nothing is held (-1: unknown)};
--          {status, why} of a tenant that is not active; {'unknown'}; {'outdated'} it has another incarnation

local MOST = 4503599627370496 -- so much at most is counted of what is unlimited: sums stay exact
local count = tonumber(ARGV[2])
local record = {}
if ARGV[1] ~= 'none' then
  record = redis.call('HMGET', KEYS[1], 'status', unpack(ARGV, 3, 2 + count))
  local status = record[1]
  if not status and ARGV[1] == 'record' then return {'unknown'} end
  if status and status ~= 'active' then return {status, redis.call('HGET', KEYS[1], 'why') or ''} end
end
local time = redis.call('TIME')

-- Nearly every check: of one rate, taken from in this second before, and it fits. It needs nothing of what follows; it
-- is kept short, because all of it is paid for each time.
if ARGV[4] == 'rate' and count == 1 and not ARGV[8] then
  local found = redis.call('HMGET', KEYS[2], 'at', 'sum', 'here', 'ahead')
  if found[1] == time[1] then
    local amount, limit = tonumber(ARGV[7]), tonumber(record[2] or ARGV[5])
    local sum = found[2] + amount
    if sum <= (limit < 0 and MOST or limit) then
      redis.call('HSET', KEYS[2], 'sum', sum, 'here', found[3] + amount)
      local seconds = ARGV[6] + (found[4] == '0' and 1 or 2)
      return {1, 0, limit, sum, 0, seconds * 1000 - math.floor(time[2] / 1000)}
    end
  end
end

-- include: riptide.tenants.quotas window.lua
-- include: riptide.tenants.quotas total.lua
-- include: riptide.tenants.registry audit.lua

local SHARE = 8 -- a lease gets no more than one of so many parts of what remains
local amounts, more = 2 + 4 * count, 2 + 5 * count
local wanted, missed = tonumber(ARGV[more + 1] or 0), tonumber(ARGV[more + 2] or 0)
local incarnation, levels, suspends = ARGV[more + 3] or '', more + 3, more + 3 + count
if incarnation ~= '' and incarnation ~= redis.call('HGET', KEYS[1], 'incarnation') then return {'outdated'} end

local second = tonumber(time[1])
local now = second * 1000 + math.floor(time[2] / 1000)
local asked, fits = {}, true
for i = 1, count do
  local first = 2 + count + 3 * (i - 1)
  local one = {kind = ARGV[first + 1], amount = tonumber(ARGV[amounts + i])}
  local limit = tonumber(record[1 + i] or ARGV[first + 2])
  if one.kind == 'rate' then
    one.holder = open_window(KEYS[1 + i], second, tonumber(ARGV[first + 3]))
  elseif one.kind == 'month' then
    one.holder = open_total(KEYS[1 + i], second)
  else
    one.holder = {sum = tonumber(ARGV[levels + i] or 0)}
  end
  one.limit, one.most = limit, limit < 0 and MOST or limit
  one.fits = one.amount == 0 or one.holder.sum + one.amount <= one.most
  fits, asked[i] = fits and one.fits, one
end

-- Counts refusals, and suspends the tenant where there are too many. True if it did.
local function suspended()
  local refused, most = missed + (fits and 0 or 1), tonumber(ARGV[suspends + 1] or 0)
  if most == 0 or refused == 0 or not record[1] then return false end
  local refusals = open_window(KEYS[2 + count], second, tonumber(ARGV[suspends + 2]))
  if refusals.sum + refused < most then
    add_to_window(refusals, refused)
    return false
  end
  redis.call('DEL', KEYS[2 + count])
  redis.call('HSET', KEYS[1], 'status', 'suspended', 'why', ARGV[suspends + 3], 'change', 'automatic',
             'changed_ms', string.format('%.0f', now))
  redis.call('HINCRBY', KEYS[1], 'revision', 1)
  tell(KEYS[3 + count], now, suspends + 4)
  return true
end

local answer = suspended() and 2 or (fits and 1 or 0)
local reply = {answer, 0}
for i, one in ipairs(asked) do
  local holder, amount, retry, reset = one.holder, one.amount, 0, -1
  if answer == 1 and wanted > 0 then
    amount = math.max(amount, math.min(wanted, math.floor((one.most - holder.sum) / SHARE)))
    reply[2] = amount
  end
  local never = not one.fits and one.amount > one.most
  if one.kind == 'rate' then
    if answer == 1 and amount > 0 then
      add_to_window(holder, amount, wanted > 0)
      reset = (holder.second + holder.seconds + (holder.ahead > 0 and 2 or 1)) * 1000 - now
    else
      local enough, all = releases(holder, holder.sum + amount - one.most)
      retry, reset = one.fits and 0 or enough * 1000 - now, math.max(all * 1000 - now, 0)
    end
  elseif one.kind == 'month' then
    if answer == 1 and amount > 0 then add_to_total(holder, amount) end
    reset = holder.next * 1000 - now
    retry = one.fits and 0 or reset
  else
    never = not one.fits
  end
  local place = 4 * (i - 1) + 2
  reply[place + 1], reply[place + 2] = one.limit, holder.sum
  reply[place + 3], reply[place + 4] = never and -1 or retry, reset
end
return reply
