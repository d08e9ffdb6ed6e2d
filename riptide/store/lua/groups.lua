-- groups_of(key): the groups of a stream by name, as XINFO tells of them; none where there is no stream.
-- include: fields.lua
local function groups_of(key)
  local found, rows = {}, redis.pcall('XINFO', 'GROUPS', key)
  for _, row in ipairs(rows.err and {} or rows) do
    local group = fields(row)
    found[group['name']] = group
  end
  return found
end
