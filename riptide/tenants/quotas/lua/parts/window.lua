-- Windows of so many seconds, on the server's clock. `at` is the second of the last change, `here` what was taken in
-- it, and `ahead` what is counted in the one after it. What was taken before stands in buckets of a second each, in a
-- ring: `<second % seconds>` -> amount. `sum` is all of it. A window reaches from `seconds` ago to one second ahead, so
-- it covers every span of that length that ends now.

-- What a window holds at this second, or at `at` where the clock has gone back. Nothing is changed yet.
local function open_window(key, second, seconds)
  local found = redis.call('HMGET', key, 'at', 'sum', 'here', 'ahead')
  local window = {key = key, seconds = seconds, second = second, sum = 0, here = 0, ahead = 0}
  local at = tonumber(found[1])
  if not at then return window end
  local sum, here, ahead = tonumber(found[2]), tonumber(found[3]), tonumber(found[4])
  window.at, window.old = at, {here, ahead}
  local passed = second - at
  if passed <= 0 then
    window.second, window.sum, window.here, window.ahead = at, sum, here, ahead
  elseif passed <= seconds then
    window.left = {}
    for left = at, second - 1 do window.left[#window.left + 1] = left % seconds end
    for _, amount in ipairs(redis.call('HMGET', key, unpack(window.left))) do sum = sum - (tonumber(amount) or 0) end
    window.sum, window.here = sum, passed == 1 and ahead or 0
  elseif passed == seconds + 1 then
    window.sum = ahead
  end
  return window
end

-- Takes an amount; with `later`, as if it were a second later.
local function add_to_window(window, amount, later)
  local key, at, second, seconds = window.key, window.at, window.second, window.seconds
  local name = later and 'ahead' or 'here'
  window[name], window.sum = window[name] + amount, window.sum + amount
  if at == second then
    redis.call('HSET', key, 'sum', window.sum, name, window[name])
    return
  end
  if window.left then
    redis.call('HDEL', key, unpack(window.left))
  elseif at then
    redis.call('DEL', key)
  end
  local kept = {}
  for i = 1, at and 2 or 0 do -- what was here and ahead before
    local past = at + i - 1
    if past < second and second - past <= seconds then
      kept[#kept + 1], kept[#kept + 2] = past % seconds, window.old[i]
    end
  end
  redis.call('HSET', key, 'at', second, 'sum', window.sum, 'here', window.here, 'ahead', window.ahead, unpack(kept))
  redis.call('EXPIRE', key, 2 * seconds + 4)
end

-- The second from which on `need` of what the window holds has left it, and the one from which on all has. Not to be
-- asked after something was taken.
local function releases(window, need)
  if window.sum == 0 then return window.second, window.second end
  local slots, first = {}, window.second - window.seconds
  for second = first, window.at - 1 do slots[#slots + 1] = second % window.seconds end
  local amounts = #slots > 0 and redis.call('HMGET', window.key, unpack(slots)) or {}
  local place = window.at - first + 1
  amounts[place], amounts[place + 1] = window.old[1], window.old[2]
  local enough, last, freed = nil, first, 0
  for i, amount in ipairs(amounts) do
    amount = tonumber(amount) or 0
    if amount > 0 then
      freed, last = freed + amount, first + i - 1
      if freed >= need then enough = enough or last end
    end
  end
  return (enough or last) + window.seconds + 1, last + window.seconds + 1
end
