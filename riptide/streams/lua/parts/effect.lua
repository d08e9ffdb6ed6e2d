-- How every effect begins and ends. Unless the consumer still holds all entries the script ends here. After that `take()`
-- gives what comes next in ARGV, and `acknowledge(n)` says that all is done, where KEYS[n] is the first result.
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end

local group, consumer, count, traced = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local ids, firsts = {unpack(ARGV, 5, 4 + count)}, {unpack(ARGV, 5 + count, 4 + count + traced)}

local held, ended = {}, {'ended'}
local rows = redis.pcall('XPENDING', KEYS[2], group, ids[1], ids[count], count, consumer)
if rows.err then return 0 end -- no such stream or group: nothing is held
for _, row in ipairs(rows) do held[row[1]] = true end
for i, id in ipairs(ids) do
  local mine = held[id]
  if mine == nil then mine = #redis.call('XPENDING', KEYS[2], group, id, id, 1, consumer) > 0 end
  if not mine then ended[#ended + 1] = i end
  held[id] = false -- one that is named twice counts once
end
if #ended > count then return 0 end
if #ended > 1 then return ended end

local argument = 5 + count + traced -- what is read next
local function take()
  argument = argument + 1
  return ARGV[argument - 1]
end

local function acknowledge(results)
  redis.call('XACK', KEYS[2], group, unpack(ids))
  if traced > 0 then
    redis.call('ZREM', KEYS[3], unpack(firsts))
    redis.call('HDEL', KEYS[4], unpack(firsts))
    redis.call('DEL', unpack(KEYS, results))
  end
  return count
end
