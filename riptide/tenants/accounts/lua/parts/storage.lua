-- Counts bytes in the blob store: they stand in the field `storage` of the hash `holder`, and what they come to over time
-- in `account`, the tenant's own, by month, up to the second that stands there as `mark`. Answers how many there are.
-- include: riptide.tenants.accounts month.lua

local function store(holder, account, mark, second, more)
  local stored = tonumber(redis.call('HGET', holder, 'storage')) or 0
  local from = tonumber(redis.call('HGET', account, mark)) or second
  local to = math.max(from, second)
  if stored == 0 and more == 0 then return 0 end
  while from < to and stored > 0 do
    local month, next = month_of(from)
    -- A product above 2^53 would be rounded.
    local stop = math.min(to, next, from + math.max(1, math.floor(9007199254740992 / stored)))
    redis.call('HINCRBY', account, 'bs:' .. month, stored * (stop - from))
    from = stop
  end
  redis.call('HSET', account, mark, to)
  stored = math.max(0, stored + more)
  if more ~= 0 then redis.call('HSET', holder, 'storage', stored) end
  return stored
end
