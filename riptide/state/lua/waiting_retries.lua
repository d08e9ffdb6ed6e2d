#!lua flags=no-writes
-- Reads the next commands that wait for their time.
-- KEYS: 1 bodies of retries
-- ARGV: 1 cursor of HSCAN; 2 about how many to look at
-- Returns: {the next cursor; then {first entry id, command id, issued at (ms), the original fields, packed} of each}
local next, rows = unpack(redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2]))
local reply = {next}
for i = 1, #rows, 2 do
  -- What begins with an entry id has been put back: it is found in its stream.
  if not string.find(rows[i + 1], '^%d+%-%d+') then
    local id, at, _, original = unpack(cmsgpack.unpack(rows[i + 1]))
    reply[#reply + 1] = {rows[i], id, at, original}
  end
end
return reply
