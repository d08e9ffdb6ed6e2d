#!lua flags=allow-oom
-- Removes commands of a tenant that is being purged: from a stream and what is pending of it, from the retries, and their
-- results. Counts those that will never run for that.
-- KEYS: 1 purged tenants; 2 the stream; 3 retries; 4 bodies of retries; 5.. results
-- ARGV: 1 digest of the tenant's id; 2 incarnation; 3 the workers' group; 4 how many entries; their ids; then the first
--       entry ids of these commands, in the order of the results
-- Returns: how many commands will not run; -1 if the purge is over
if redis.call('HGET', KEYS[1], ARGV[1] .. ':state') ~= ARGV[2] then return -1 end
local count, unfinished = tonumber(ARGV[4]), 0
local ids = {unpack(ARGV, 5, 4 + count)}

local function later(a, b) -- is entry id a later than b?
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if tonumber(a_ms) ~= tonumber(b_ms) then return tonumber(a_ms) > tonumber(b_ms) end
  return tonumber(a_seq) > tonumber(b_seq)
end

local function unread(given)
  local found = 0
  for _, id in ipairs(ids) do
    if later(id, given) then found = found + 1 end
  end
  return found
end

local groups = redis.pcall('XINFO', 'GROUPS', KEYS[2])
if count > 0 and not groups.err then
  for _, row in ipairs(groups) do
    local at = {}
    for i = 1, #row, 2 do at[row[i]] = row[i + 1] end
    local pending = redis.call('XACK', KEYS[2], at['name'], unpack(ids))
    if at['name'] == ARGV[3] then unfinished = unfinished + pending + unread(at['last-delivered-id']) end
  end
  redis.call('XDEL', KEYS[2], unpack(ids))
end
for i = 5 + count, #ARGV do
  local body = redis.call('HGET', KEYS[4], ARGV[i])
  if body and not string.find(body, '^%d+-%d+$') then unfinished = unfinished + 1 end
end
if #ARGV > 4 + count then
  redis.call('ZREM', KEYS[3], unpack(ARGV, 5 + count))
  redis.call('HDEL', KEYS[4], unpack(ARGV, 5 + count))
  redis.call('DEL', unpack(KEYS, 5))
end
if unfinished > 0 then redis.call('HINCRBY', KEYS[1], ARGV[1] .. ':commands', unfinished) end
return unfinished
