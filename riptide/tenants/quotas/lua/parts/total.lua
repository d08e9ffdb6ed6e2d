-- Totals of a calendar month in UTC: `month` and its `sum`.
-- include: riptide.tenants.accounts month.lua

-- What was taken in this month, and the second at which the next one begins.
local function open_total(key, second)
  local month, next = month_of(second)
  local found = redis.call('HMGET', key, 'month', 'sum')
  local total = {key = key, month = month, next = next, sum = 0, old = found[1] ~= month}
  if not total.old then total.sum = tonumber(found[2]) end
  return total
end

local function add_to_total(total, amount)
  total.sum = total.sum + amount
  redis.call('HSET', total.key, 'month', total.month, 'sum', total.sum)
  if total.old then redis.call('EXPIREAT', total.key, total.next) end
end
