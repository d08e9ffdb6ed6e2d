#!lua flags=no-writes
-- Looks at what was taken of rates and totals.
-- KEYS: one for each resource
-- ARGV: seconds of each one's window; 'month': it is a total
-- Returns: for each how much is held, and ms until nothing is

-- include: riptide.tenants.quotas window.lua
-- include: riptide.tenants.quotas total.lua

local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * 1000 + math.floor(time[2] / 1000)
local reply = {}
for i, key in ipairs(KEYS) do
  local held, clear
  if ARGV[i] == 'month' then
    local total = open_total(key, second)
    held, clear = total.sum, total.next
  else
    local window = open_window(key, second, tonumber(ARGV[i]))
    held, clear = window.sum, select(2, releases(window, window.sum))
  end
  reply[2 * i - 1], reply[2 * i] = held, math.max(clear * 1000 - now, 0)
end
return reply
