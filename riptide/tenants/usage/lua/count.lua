#!lua flags=allow-oom
-- Counts usage and acknowledges its commands: all of it or, where anything is in the way, nothing.
-- KEYS: 1 the consumer's fence; 2 the stream; 3 retries; 4 bodies of retries; 5 purged tenants; then for each tenant
--       its seals and its periods; then the results of the commands that left traces
-- ARGV: 1 group; 2 consumer; 3 how many entries; 4 how many left traces; their ids; first ids of those with traces;
--       how many tenants; for each: digest of its id, when it was purged as far as the caller knows (ms; 0: never),
--       how many of its records are dropped for that, how many periods;
--       for each of these: its month, until when it is kept (s), how many sums; for each of these: name, amount
-- Returns: how many entries were acknowledged; 0 if none was pending, as it has been counted before; -1 if the consumer
--          has been fenced off; {'ended', i, ...} the i-th entries were not pending; {'purged', i} the i-th tenant was
--          purged since; {'full', i, name, sum} the sum `name` of KEYS[i] has no room for that; nothing was done for these
local MOST = 9007199254740991 -- the greatest number that stays exact here
local SLICE = 900
local MOST_SUMS = 4000 -- of one period: a tenant that makes names of operations up must not fill the memory
local OTHERS = '(others)' -- no operation is called so
local key = 6 -- whose seals or sums come next
-- include: riptide.streams effect.lua

-- The present sums of one period, in the order of their names.
local function present(at, names)
  local values = {}
  for i = 1, #names, SLICE do
    local part = redis.call('HMGET', KEYS[at], unpack(names, i, math.min(i + SLICE - 1, #names)))
    for _, value in ipairs(part) do values[#values + 1] = value end
  end
  return values
end

local anybody_gone, writes, drops = redis.call('EXISTS', KEYS[5]) == 1, {}, {}
for i = 1, tonumber(take()) do
  local digest, known, dropped, periods = take(), take(), tonumber(take()), tonumber(take())
  if (anybody_gone and redis.call('HGET', KEYS[5], digest) or '0') ~= known then return {'purged', i} end
  if dropped > 0 then drops[digest] = dropped end
  local seals, generations = key, {}
  key = key + 1
  for _ = 1, periods do
    local month, expires, names, amounts = take(), take(), {}, {}
    generations[month] = generations[month] or redis.call('HGET', KEYS[seals], month) or '0'
    for n = 1, tonumber(take()) do
      names[n], amounts[n] = generations[month] .. '|' .. take(), tonumber(take())
    end
    local sums, new, room, crowded = {}, false, nil, {}
    local function add(name, value, amount)
      local sum = tonumber(value or 0)
      if sum + amount > MOST then return {'full', key, name, string.format('%.0f', sum)} end
      sums[#sums + 1], sums[#sums + 2] = name, string.format('%.0f', sum + amount)
    end
    for n, value in ipairs(present(key, names)) do
      local name, full = names[n], nil
      if not value then
        new, room = true, (room or MOST_SUMS - redis.call('HLEN', KEYS[key])) - 1
      end
      if value or room >= 0 then
        full = add(name, value, amounts[n])
      else
        name = string.gsub(name, '|.*|', '|' .. OTHERS .. '|')
        crowded[name] = (crowded[name] or 0) + amounts[n]
      end
      if full then return full end
    end
    for name, amount in pairs(crowded) do
      local full = add(name, redis.call('HGET', KEYS[key], name), amount)
      if full then return full end
    end
    writes[#writes + 1] = {key = key, sums = sums, expires = new and expires}
    key = key + 1
  end
end

for _, write in ipairs(writes) do
  for i = 1, #write.sums, SLICE do
    redis.call('HSET', KEYS[write.key], unpack(write.sums, i, math.min(i + SLICE - 1, #write.sums)))
  end
  if write.expires then redis.call('EXPIREAT', KEYS[write.key], write.expires) end
end
for digest, dropped in pairs(drops) do redis.call('HINCRBY', KEYS[5], digest .. ':dropped', dropped) end
return acknowledge(key)
