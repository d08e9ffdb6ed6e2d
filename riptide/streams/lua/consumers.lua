#!lua flags=no-writes
-- Lists the consumers of one partition, so that those without a living member are noticed.
-- KEYS: the streams
-- ARGV: 1 group
-- Returns: names of consumers that hold entries; names of those that hold none; each once
-- include: fields.lua
local held, seen = {}, {}
for _, key in ipairs(KEYS) do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', key, ARGV[1])
  for _, row in ipairs(consumers.err and {} or consumers) do
    local consumer = fields(row)
    local name = consumer['name']
    seen[name] = true
    held[name] = held[name] or consumer['pending'] > 0
  end
end
local holding, empty = {}, {}
for name in pairs(seen) do
  local list = held[name] and holding or empty
  list[#list + 1] = name
end
return {holding, empty}
