#!lua flags=no-writes,allow-oom
-- Finds the entries of a tenant among the next of a stream of commands, or of dead letters.
-- KEYS: 1 the stream; 2 bodies of retries
-- ARGV: 1 tenant; 2 where to begin, 3 where to end, as XRANGE takes it; 4 how many entries to look at; 5 an entry,
--       6 a first entry that are left alone
-- Returns: {where to go on, or '' at the end; then entry id, first entry id of each that was found}
local function field(fields, name) -- of a name that stands there twice the last one counts
  for i = #fields - 1, 1, -2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

-- include: riptide.tenants.purge packed.lua

local rows = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[3], 'COUNT', ARGV[4])
local reply = {#rows == tonumber(ARGV[4]) and '(' .. rows[#rows][1] or ''}
for _, row in ipairs(rows) do
  local id, fields = row[1], row[2]
  if id ~= ARGV[5] and id ~= ARGV[6] then
    local packed = field(fields, 'orig')
    local tenant = field(fields, 'tenant') or packed and tenant_in(packed)
    if tenant == ARGV[1] then
      -- What an entry says of its first one is believed of dead letters, and of what was really put back.
      local first = packed and field(fields, 'src')
      local true_one = first and (field(fields, 'reason') or redis.call('HGET', KEYS[2], first) == id)
      reply[#reply + 1], reply[#reply + 2] = id, true_one and first ~= ARGV[6] and first or id
    end
  end
end
return reply
