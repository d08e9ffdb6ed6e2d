#!lua flags=allow-oom
-- Remembers in one partition that a tenant is being purged: what it did before is dropped there.
-- KEYS: 1 purged tenants
-- ARGV: 1 digest of the tenant's id; 2 incarnation; 3 seconds to remember
-- Returns: 1; 0 if that purge has ended, or another of the same id goes on
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HGET', KEYS[1], ARGV[1] .. ':state')
if state and state ~= ARGV[2] then
  if state == ARGV[2] .. ' over' or not string.find(state, ' over$') then return 0 end
  redis.call('HDEL', KEYS[1], ARGV[1] .. ':commands')
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now), ARGV[1] .. ':state', ARGV[2])
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
-- What nobody needs any more.
local all = redis.call('HGETALL', KEYS[1])
for i = 1, math.min(#all, 4000), 2 do
  local digest = string.match(all[i], '^%x+$')
  if digest and now - all[i + 1] > ARGV[3] * 1000 then
    redis.call('HDEL', KEYS[1], digest, digest .. ':state', digest .. ':commands', digest .. ':dropped')
  end
end
return 1
