#!lua
-- Lists the consumers of one partition, so that those without a living member are noticed.
-- KEYS: the streams
-- ARGV: 1 group
-- Returns: names of consumers that hold entries; names of those that hold none; each once
local held, seen = {}, {}
for _, key in ipairs(KEYS) do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', key, ARGV[1])
  for _, row in ipairs(consumers.err and {} or consumers) do
    local at = {}
    for i = 1, #row, 2 do at[row[i]] = row[i + 1] end
    seen[at['name']] = true
    held[at['name']] = held[at['name']] or at['pending'] > 0
  end
end
local holding, empty = {}, {}
for name in pairs(seen) do
  local list = held[name] and holding or empty
  list[#list + 1] = name
end
return {holding, empty}
