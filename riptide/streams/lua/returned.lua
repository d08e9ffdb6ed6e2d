#!lua flags=no-writes
-- Tells entries that were put back from those that only look like it: anybody may XADD that form, under any id.
-- KEYS: 1 bodies of retries
-- ARGV: for each entry: the first entry id that it names; its own entry id, with :slow after it in the slow stream
-- Returns: for each entry 1 if it was put back for that first entry, else 0
local reply = {}
for i = 1, #ARGV, 2 do
  reply[#reply + 1] = redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] and 1 or 0
end
return reply
