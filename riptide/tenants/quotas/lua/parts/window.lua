-- Windows of so many seconds, on the server's clock. What was taken stands in buckets of a second each, in a ring:
-- `<second % size>` -> amount. They reach from `seconds` ago to one second ahead, so that together they cover every
-- window of that length that ends now. `at` is the second of the last change, `sum` what all buckets hold.

-- What a window holds at this second, or at `at` where the clock has gone back.
local function open_window(key, second, seconds)
  local size = seconds + 2
  local found = redis.call('HMGET', key, 'at', 'sum', second % size, (second + 1) % size)
  local at = tonumber(found[1])
  if at and at > second then return open_window(key, at, seconds) end
  local window = {key = key, size = size, second = second, at = at, sum = 0, here = 0, ahead = 0}
  if not at or second - at >= size then return window end
  local sum, here, ahead = tonumber(found[2]), tonumber(found[3]) or 0, tonumber(found[4]) or 0
  if at == second then
    window.ahead = ahead
  elseif at == second - 1 then
    sum = sum - ahead -- it is of the second that just left
  else
    window.left = {}
    for left = at + 2, second + 1 do window.left[#window.left + 1] = left % size end
    for _, amount in ipairs(redis.call('HMGET', key, unpack(window.left))) do sum = sum - (tonumber(amount) or 0) end
    here = 0
  end
  window.sum, window.here = sum, here
  return window
end

-- Takes an amount; with `ahead`, as if it were a second later.
local function add_to_window(window, amount, ahead)
  local key, second, size = window.key, window.second, window.size
  local name = ahead and 'ahead' or 'here'
  window[name], window.sum = window[name] + amount, window.sum + amount
  if window.at == second then
    redis.call('HSET', key, 'sum', window.sum, (second + (ahead and 1 or 0)) % size, window[name])
    return
  end
  if window.at and second - window.at >= size then
    redis.call('DEL', key)
  elseif window.left then
    redis.call('HDEL', key, unpack(window.left))
  end
  redis.call('HSET', key, 'at', second, 'sum', window.sum,
             second % size, window.here, (second + 1) % size, window.ahead)
  redis.call('EXPIRE', key, 2 * size)
end

-- The second from which on `need` of what the window holds has left it, and the one from which on all has.
local function releases(window, need)
  if window.sum == 0 then return window.second, window.second end
  local slots, first = {}, window.second + 2 - window.size
  for second = first, window.at + 1 do slots[#slots + 1] = second % window.size end
  local enough, last, freed = nil, first, 0
  for i, amount in ipairs(redis.call('HMGET', window.key, unpack(slots))) do
    if (tonumber(amount) or 0) > 0 then
      freed, last = freed + amount, first + i - 1
      if freed >= need then enough = enough or last end
    end
  end
  return (enough or last) + window.size - 1, last + window.size - 1
end
