#!lua flags=allow-oom
-- Lists tenants whose records are there, but none that was purged since; a reservation of one of them is over.
-- KEYS: 1 index of tenants; 2 reservations; 3 purges that have ended
-- ARGV: id, incarnation, ...
-- Returns: how many had not been listed
local new = 0
for i = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[3], ARGV[i + 1]) == 0 then
    new = new + redis.call('ZADD', KEYS[1], 0, ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
  end
end
return new
