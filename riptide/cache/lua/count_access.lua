#!lua flags=allow-oom
-- Sums up what processes have reported of tenants, and acknowledges the commands: all of it or, where anything is in the
-- way, nothing. Beside the sums of all time a tenant has those of each of the last 60 minutes, `<Unix minute> <sum> ...`
-- at the minute's place in the hour; and which keys are read most, with what loading them takes.
-- KEYS: 1 the consumer's fence; 2 the stream; 3 retries; 4 bodies of retries; 5 purged tenants; then for each tenant
--       its sums, its processes, its popular keys and their load times; then the results of the commands that left traces
-- ARGV: 1 group; 2 consumer; 3 how many entries; 4 how many left traces; their ids; first ids of those with traces;
--       how many sums there are, their names; how many tenants; for each: digest of its id, when it was purged as far
--       as the caller knows (ms; 0: never), how many minutes; for each of these: Unix minute, its sums;
--       how many processes; for each of these: when it reported last (s), its name;
--       how many keys were read; for each of these: member, log2 of its reads, as they count at the next; when that is (s);
--       how many were loaded; for each of these: member, us; then, behind all tenants, seconds of a half-life, how many keys to
--       keep
-- Returns: how many entries were acknowledged; 0 if none was pending, as it has been counted before; -1 if the consumer
--          has been fenced off; {'ended', i, ...} the i-th entries were not pending; {'purged', i} the i-th tenant was
--          purged since; nothing was done for these
local MOST = 9007199254740991 -- the greatest number that stays exact here: sums go no further
local MINUTES, PROCESSES, HOUR = 60, 1000, 3600
-- include: riptide.streams effect.lua
-- include: riptide.cache popular.lua

local function several(number)
  local taken = {}
  for i = 1, number do taken[i] = take() end
  return taken
end

local function add(sums, more)
  for i in ipairs(more) do sums[i] = math.min(MOST, (tonumber(sums[i]) or 0) + tonumber(more[i])) end
end

local names = several(tonumber(take()))
local anybody_gone, tenants = redis.call('EXISTS', KEYS[5]) == 1, {}
for i = 1, tonumber(take()) do
  local digest, known = take(), take()
  if (anybody_gone and redis.call('HGET', KEYS[5], digest) or '0') ~= known then return {'purged', i} end
  local minutes, processes = {}, {}
  for m = 1, tonumber(take()) do minutes[m] = {minute = tonumber(take()), sums = several(#names)} end
  for p = 1, tonumber(take()) do processes[p] = several(2) end
  local reads, read_at = several(2 * take()), tonumber(take())
  local loads = several(2 * take())
  tenants[i] = {
    key = 2 + 4 * i, minutes = minutes, processes = processes, reads = reads, read_at = read_at, loads = loads,
  }
end
local half_life, most = tonumber(take()), tonumber(take())

-- As they are written.
local function texts(sums)
  for i, sum in ipairs(sums) do sums[i] = string.format('%.0f', sum) end
  return sums
end

local now = tonumber(redis.call('TIME')[1])
local present = math.floor(now / 60)

-- Adds to the sums of one minute; those of an hour before may stand in their place.
local function add_minute(key, minute, more)
  local place, sums, there = minute % MINUTES, {}, nil
  for number in string.gmatch(redis.call('HGET', KEYS[key], place) or '', '%d+') do
    if there then sums[#sums + 1] = number else there = tonumber(number) end
  end
  if there ~= minute then sums = {} end
  add(sums, more)
  redis.call('HSET', KEYS[key], place, string.format('%.0f ', minute) .. table.concat(texts(sums), ' '))
end

-- `popular` and `load_times` are places in KEYS.
local function add_reads(popular, read_at, reads)
  local shift = math.min(read_at, now) / half_life -- whoever chose its entry id may have chosen one of tomorrow
  stepwise(reads, function(members, values)
    local args, known = {}, redis.call('ZMSCORE', KEYS[popular], unpack(members))
    for i, member in ipairs(members) do
      local score = values[i] + shift
      if known[i] then score = together(score, tonumber(known[i])) end
      args[2 * i - 1], args[2 * i] = string.format('%.17g', score), member
    end
    redis.call('ZADD', KEYS[popular], unpack(args))
  end)
end

-- Of keys that are read at all. The newest time counts a quarter.
local function add_loads(popular, load_times, loads)
  stepwise(loads, function(members, values)
    local args, known = {}, redis.call('ZMSCORE', KEYS[popular], unpack(members))
    local before = redis.call('HMGET', KEYS[load_times], unpack(members))
    for i, member in ipairs(members) do
      if known[i] then
        local time = before[i] and before[i] + (values[i] - before[i]) / 4 or values[i]
        args[#args + 1], args[#args + 2] = member, string.format('%.0f', time)
      end
    end
    if #args > 0 then redis.call('HSET', KEYS[load_times], unpack(args)) end
  end)
end

for _, tenant in ipairs(tenants) do
  local key = tenant.key
  local totals, fields = redis.call('HMGET', KEYS[key], unpack(names)), {}
  for _, part in ipairs(tenant.minutes) do
    add(totals, part.sums)
    local minute = math.min(part.minute, present) -- whoever chose its entry id may have chosen one of tomorrow
    if present - minute < MINUTES then add_minute(key, minute, part.sums) end
  end
  for i, sum in ipairs(texts(totals)) do fields[2 * i - 1], fields[2 * i] = names[i], sum end
  redis.call('HSET', KEYS[key], unpack(fields))

  for _, process in ipairs(tenant.processes) do
    redis.call('ZADD', KEYS[key + 1], 'GT', math.min(tonumber(process[1]), now), process[2])
  end
  if #tenant.processes > 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[key + 1], '-inf', now - HOUR)
    redis.call('ZREMRANGEBYRANK', KEYS[key + 1], 0, -1 - PROCESSES)
    redis.call('EXPIRE', KEYS[key + 1], HOUR)
  end

  add_reads(key + 2, tenant.read_at, tenant.reads)
  add_loads(key + 2, key + 3, tenant.loads)
  if #tenant.reads > 0 then bounded(KEYS[key + 2], KEYS[key + 3], most) end
end
return acknowledge(6 + 4 * #tenants)
