#!lua flags=allow-oom
-- Removes members that left, or that hold nothing any more.
-- KEYS: 1 members by last beat; 2 since when each beats, and ~left: how many have left, ever; 3 what each says of itself
-- ARGV: 1 only if it has not beaten for so many ms (0: in any case); 2.. members
-- Returns: how many were removed
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local removed = 0
for i = 2, #ARGV do
  local last = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if last and now - tonumber(last) >= tonumber(ARGV[1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
    redis.call('HDEL', KEYS[3], ARGV[i])
    removed = removed + 1
  end
end
if removed > 0 then redis.call('HINCRBY', KEYS[2], '~left', removed) end
return removed
