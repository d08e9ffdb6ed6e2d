#!lua
-- Lists the consumers of one partition that hold entries, so that one without a living member is noticed.
-- KEYS: the streams
-- ARGV: 1 group
-- Returns: names, each once
local names, seen = {}, {}
for _, key in ipairs(KEYS) do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', key, ARGV[1])
  if not consumers.err then
    for _, row in ipairs(consumers) do
      local at = {}
      for i = 1, #row, 2 do at[row[i]] = row[i + 1] end
      if at['pending'] > 0 and not seen[at['name']] then
        seen[at['name']] = true
        names[#names + 1] = at['name']
      end
    end
  end
end
return names
