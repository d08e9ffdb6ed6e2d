-- Keeps the account of the entries of a tenant in one slot.
-- KEYS: 1 account; 2 index of entries
-- An entry counts as its size and OVERHEAD bytes until the second at which it expires. Entries that expired are
-- taken off by the buckets of their seconds, `<second>` -> bytes in the account, whether the server has removed them
-- by now or not: `at` is the second up to which that is done, and it alone decides which entries still count. It
-- never goes back, as the clock may.
-- include: riptide.tenants.accounts overhead.lua
local MOST_BUCKETS, MOST_MEMBERS = 300, 400
local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'entries', 'bytes', 'at')
local entries, bytes, at = tonumber(held[1]) or 0, tonumber(held[2]) or 0, tonumber(held[3]) or second
local buckets, changed = {}, false
if at > second then second, now = at, at * 1000 end

local function count(expires, number, size)
  local bucket = buckets[expires] or tonumber(redis.call('HGET', KEYS[1], expires)) or 0
  buckets[expires] = bucket + size
  entries, bytes, changed = entries + number, bytes + size, true
end

-- Writes down what has changed.
local function keep()
  if not changed then return end
  local set, gone = {'entries', entries, 'bytes', bytes, 'at', at}, {}
  for expires, size in pairs(buckets) do
    if size > 0 then
      set[#set + 1] = expires
      set[#set + 1] = size
    else
      gone[#gone + 1] = expires
    end
  end
  redis.call('HSET', KEYS[1], unpack(set))
  if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
  buckets, changed = {}, false
end

-- include: riptide.tenants.accounts month.lua

-- Adds what the bytes held from `at` to a later second come to, by month, and moves `at` there. A product above
-- 2^53 would be rounded.
local function integrate(to)
  while at < to and bytes > 0 do
    local month, next = month_of(at)
    local stop = math.min(to, next, at + math.max(1, math.floor(9007199254740992 / bytes)))
    redis.call('HINCRBY', KEYS[1], 'bs:' .. month, bytes * (stop - at))
    at = stop
  end
  at = to
end

-- Takes expired entries off. False if there is more of that than one step may do: then the script must answer
-- {'behind'} and change nothing more.
local function settle()
  if at == second then return true end
  local expired, done = 0, false
  for _ = 1, MOST_BUCKETS do
    local next = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. at, second, 'WITHSCORES', 'LIMIT', 0, 1)
    done = not next[2]
    if done then break end
    local due = tonumber(next[2])
    integrate(due)
    local number = redis.call('ZCOUNT', KEYS[2], due, due)
    expired = expired + number
    count(due, -number, -(tonumber(redis.call('HGET', KEYS[1], due)) or 0))
  end
  if done then integrate(second) end
  changed = true
  if expired > 0 then redis.call('HINCRBY', KEYS[1], 'evicted:expired', expired) end
  local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', at, 'LIMIT', 0, MOST_MEMBERS)
  if #gone > 0 then redis.call('ZREM', KEYS[2], unpack(gone)) end
  if not done then keep() end
  return done
end

-- What an entry counts as, and the second at which it expires. One that has no place in the index was not written by
-- these scripts, and does not count. Where somebody else has removed it, its size is known if it was the only one of
-- its second; if not, it is taken off with them.
local function counted(entry, member)
  local expires = tonumber(redis.call('ZSCORE', KEYS[2], member) or 0)
  if expires <= at then return nil end
  local size = redis.call('STRLEN', entry)
  if size > 0 then return size + OVERHEAD, expires end
  if redis.call('ZCOUNT', KEYS[2], expires, expires) > 1 then return 0, expires end
  return buckets[expires] or tonumber(redis.call('HGET', KEYS[1], expires)) or 0, expires
end

-- Removes an entry; answers 1 if the server still had it.
local function remove(entry, member)
  local size, expires = counted(entry, member)
  if size then count(expires, -1, -size) end
  redis.call('ZREM', KEYS[2], member)
  return redis.call('UNLINK', entry)
end
