-- What the scripts that change a session share.
-- KEYS: 1 account; 2 index of sessions; 3 the tenant's record; 4 session
-- ARGV: 1 incarnation of the tenant, '' for one without a record; 2 id of the tenant's data key, 0: its data is not
--       encrypted; 3 the session's id
-- A session is a hash: `ttl` and `expires` in seconds, `created` in ms, `size` (bytes of its fields in memory, by which
-- it counts beside OVERHEAD), `rev` (counts what was changed), `user`, `meta`, and `d:<name>` for each field of its
-- data. Where its data is in the blob store, `blob` stands in place of these.
-- include: riptide.tenants.accounts account.lua

-- Whether the tenant is not the one it was taken for, or not active, or has another data key.
local function outdated()
  local record = redis.call('HMGET', KEYS[3], 'incarnation', 'status', 'key')
  return (record[1] or '') ~= ARGV[1] or (record[2] or 'active') ~= 'active' or (record[3] or '0') ~= ARGV[2]
end

-- Moves a session to the second at which it expires from now on; answers that. `size` is what it had, `grown` by how
-- much that has changed.
local function renew(before, ttl, size, grown)
  local expires = math.ceil((now + ttl * 1000) / 1000)
  if expires == before then
    if grown ~= 0 then count(before, 0, grown) end
    return expires
  end
  count(before, 0, -(size + OVERHEAD))
  count(expires, 0, size + grown + OVERHEAD)
  redis.call('ZADD', KEYS[2], expires, ARGV[3])
  redis.call('PEXPIREAT', KEYS[4], expires * 1000)
  return expires
end
