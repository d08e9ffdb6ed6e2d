#!lua flags=allow-oom
-- Puts sessions of a checkpoint back, where there are none of that name, and into all that is kept about sessions. One
-- that has ended meanwhile stays ended.
-- KEYS: for each tenant eight, and then its sessions: account; index of sessions; record; sessions by user; spilled
--       sessions; blobs; account of the tenant; what this restore may bring back without a record
-- ARGV: 1 '1' to tell only; 2 ms at which the names of the blobs were made; 3 ms after which they may have been taken for
--       orphans; then for each tenant: incarnation, '' for one without a record; how many sessions; and of each: id; the
--       second at which it expires; its size; digest of its user; the blob that its data is in, or ''; how many fields and
--       values; field, value, ...
-- Returns: for each tenant how many sessions were put back, or would be; -1 if another tenant has the id, or it was purged;
--          -2 if the account has to be settled first; nothing at all if that took too long
-- include: riptide.tenants.accounts storage.lua
local time = redis.call('TIME')
local only_tell = ARGV[1] == '1'
if time[1] * 1000 - ARGV[2] > tonumber(ARGV[3]) then return {} end

-- Puts one tenant's back; `first` is where its arguments begin. Answers where the next one's begin, and what is returned.
local function put(KEYS, first)
  local incarnation, number = ARGV[first], tonumber(ARGV[first + 1])
  local there = redis.call('HGET', KEYS[3], 'incarnation')
  local from, put_back = first + 2, 0
  local mine = there == incarnation
  if not there then mine = incarnation == '' or only_tell or redis.call('EXISTS', KEYS[8]) == 1 end
  -- include: riptide.tenants.accounts account.lua
  local ready = mine and (only_tell or settle())
  local index, users, spilled, blobs, storage = {}, {}, {}, {}, 0
  local function list(set, score, member)
    set[#set + 1], set[#set + 2] = score, member
  end
  for i = 9, 8 + number do
    local id, expires, size, user, blob, fields = unpack(ARGV, from, from + 5)
    expires, from = tonumber(expires), from + 6 + fields
    if ready and expires > math.max(at, second) and redis.call('EXISTS', KEYS[i]) == 0 then
      put_back = put_back + 1
      if not only_tell then
        redis.call('HSET', KEYS[i], unpack(ARGV, from - fields, from - 1))
        redis.call('PEXPIREAT', KEYS[i], expires * 1000)
        list(index, expires, id)
        list(users, 0, user .. ':' .. id)
        if blob ~= '' then
          list(spilled, expires, id)
          list(blobs, expires, blob)
          storage = storage + string.match(blob, ':(%d+)$')
        end
        count(expires, 1, size + OVERHEAD)
      end
    end
  end
  for place, set in pairs({[2] = index, [4] = users, [5] = spilled, [6] = blobs}) do
    if #set > 0 then redis.call('ZADD', KEYS[place], unpack(set)) end
  end
  if storage > 0 then store(KEYS[1], KEYS[7], 'storage:sessions:at', second, storage) end
  if ready and not only_tell then keep() end
  return from, not mine and -1 or not ready and -2 or put_back
end

local reply, first, key = {}, 4, 1
while key <= #KEYS do
  local last = key + 7 + ARGV[first + 1]
  first, reply[#reply + 1] = put({unpack(KEYS, key, last)}, first)
  key = last + 1
end
return reply
