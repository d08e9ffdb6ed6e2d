-- How popularity is kept: a sorted set of members with their scores, log2(decayed reads) and one more for each half-life
-- since 1970, so that time changes no score and no order; and a hash of what loading them takes. `many` members go into one
-- call, fewer than a call takes.
local many = 500

-- Calls f(members, values) for `pairs`, {member, value, ...}, step by step.
local function stepwise(pairs, f)
  for first = 1, #pairs, 2 * many do
    local members, values = {}, {}
    for i = first, math.min(first + 2 * many, #pairs + 1) - 1, 2 do
      members[#members + 1], values[#values + 1] = pairs[i], tonumber(pairs[i + 1])
    end
    f(members, values)
  end
end

-- log2(2^a + 2^b)
local function together(a, b)
  return math.max(a, b) + math.log(1 + 2 ^ -math.abs(a - b)) / math.log(2)
end

-- Keeps the `most` read ones. What is not read for 30 days goes.
local function bounded(popular, load_times, most)
  local excess = redis.call('ZCARD', popular) - most
  while excess > 0 do
    local dropped = redis.call('ZRANGE', popular, 0, math.min(excess, many) - 1)
    redis.call('ZREM', popular, unpack(dropped))
    redis.call('HDEL', load_times, unpack(dropped))
    excess = excess - #dropped
  end
  for _, key in ipairs({popular, load_times}) do redis.call('EXPIRE', key, 30 * 86400) end
end
