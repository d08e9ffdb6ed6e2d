#!lua flags=no-writes,allow-oom
-- Finds the commands of a tenant among the next that wait for their time.
-- KEYS: 1 bodies of retries
-- ARGV: 1 tenant; 2 cursor of HSCAN; 3 about how many to look at; 4 a first entry that is left alone
-- Returns: {the next cursor; then the first entry id of each that was found}
-- include: riptide.tenants.purge packed.lua
local next, rows = unpack(redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3]))
local reply = {next}
for i = 1, #rows, 2 do
  -- What is an entry id has been put back: it is found in its stream.
  if rows[i] ~= ARGV[4] and not string.find(rows[i + 1], '^%d+-%d+$') then
    local original = cmsgpack.unpack(rows[i + 1])[4]
    if tenant_in(original) == ARGV[1] then reply[#reply + 1] = rows[i] end
  end
end
return reply
