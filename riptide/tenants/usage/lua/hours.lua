#!lua flags=no-writes,allow-oom
-- Reads what was counted of several hours of a tenant in one partition.
-- KEYS: its sums of each hour
-- ARGV: none
-- Returns: for each hour in which anything was counted {i, field, value, ...}, where KEYS[i] is its key
local reply = {}
for i = 1, #KEYS do
  local sums = redis.call('HGETALL', KEYS[i])
  if #sums > 0 then
    table.insert(sums, 1, i)
    reply[#reply + 1] = sums
  end
end
return reply
