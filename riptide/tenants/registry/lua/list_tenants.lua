#!lua flags=allow-oom
-- Lists tenants whose records are there; a reservation of one of them is over.
-- KEYS: 1 index of tenants; 2 reservations
-- ARGV: ids
-- Returns: how many had not been listed
local new = 0
for _, id in ipairs(ARGV) do
  new = new + redis.call('ZADD', KEYS[1], 0, id)
  redis.call('HDEL', KEYS[2], id)
end
return new
