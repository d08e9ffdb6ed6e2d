#!lua flags=no-writes,allow-oom
-- Tells how dispensable entries are, without that counting as a use of them.
-- KEYS: the entries, or other keys
-- ARGV: 1 'lfu' for those that are seldom used, where the server counts uses; else those not used for long
-- Returns: a number for each, the higher the more dispensable: minus its uses, or seconds since the last one
local answer = {}
for i, entry in ipairs(KEYS) do
  local idle = redis.pcall('OBJECT', 'IDLETIME', entry)
  -- The server keeps one of the two, by its own maxmemory-policy.
  if ARGV[1] == 'lfu' or type(idle) == 'table' then
    local uses = redis.pcall('OBJECT', 'FREQ', entry)
    if type(uses) == 'number' then idle = -uses end
  end
  -- A server that tells neither: then any is as good as another.
  if type(idle) == 'table' and redis.call('EXISTS', entry) == 1 then idle = 0 end
  answer[i] = type(idle) == 'number' and idle or 2147483647 -- gone: its place in the index can go too
end
return answer
