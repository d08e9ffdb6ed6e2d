#!lua flags=allow-oom
-- Reads what decides whether an API key is valid; notes that it is used, now and then, if its secret was shown.
-- KEYS: 1 the key; 2 when its owner's keys were used; 3 the record of its tenant, unless it needs none
-- ARGV: 1 id; 2 digest of what was shown; 3 ms within which its use is not noted again
-- Returns: {now, incarnation of the tenant, digest, the one before, until when that is valid, when it expires, when it
--          was revoked, incarnation of the tenant when it was made, role, scopes, name}, nil for what is not there
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', KEYS[1], 'digest', 'old', 'old_until', 'expires', 'revoked', 'incarnation', 'role',
                         'scopes', 'name')
if (found[1] == ARGV[2] or found[2] == ARGV[2]) and
   now - (redis.call('HGET', KEYS[2], ARGV[1]) or 0) >= tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', now))
end
local incarnation = KEYS[3] and redis.call('HGET', KEYS[3], 'incarnation')
return {string.format('%.0f', now), incarnation or false, unpack(found, 1, 9)}
