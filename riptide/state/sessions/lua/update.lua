#!lua
-- Sets and removes fields of a session's data, and leaves all others as they are.
-- KEYS: 1 account; 2 index of sessions; 3 the tenant's record; 4 session
-- ARGV: 1 incarnation of the tenant, '' for one without a record; 2 id of the tenant's data key, 0: its data is not
--       encrypted; 3 the session's id; 4 most bytes of a session; 5 most fields; 6 n; then n fields to be removed; then
--       field, value, ...
-- Returns: 1; 0 if there is none; {'spilled', blob} if its data is not here; {'large', bytes, fields} if that would be too
--          much; {'facts'} if the tenant is not the one it was taken for; {'behind'} if the account has to be settled first
local record = redis.call('HMGET', KEYS[3], 'incarnation', 'status', 'key')
if (record[1] or '') ~= ARGV[1] or (record[2] or 'active') ~= 'active' or (record[3] or '0') ~= ARGV[2] then
  return {'facts'}
end
-- Nearly every change is of one field, whose present value comes along: that is cheaper than to ask for its length.
local single = ARGV[6] == '0' and #ARGV == 8
local found = redis.call('HMGET', KEYS[4], 'ttl', 'expires', 'size', 'rev', 'blob', single and ARGV[7] or 'ttl')
if not found[1] then return 0 end
if found[5] then return {'spilled', found[5]} end

local set, grown, more = 7 + ARGV[6], 0, 0
for i = 7, set - 1 do
  local length = redis.call('HSTRLEN', KEYS[4], ARGV[i])
  if length > 0 then grown, more = grown - length - #ARGV[i], more - 1 end
end
for i = set, #ARGV, 2 do
  local length = single and #(found[6] or '') or redis.call('HSTRLEN', KEYS[4], ARGV[i])
  grown = grown + #ARGV[i + 1] - length
  if length == 0 then grown, more = grown + #ARGV[i], more + 1 end
end
local size = found[3] + grown
local fields = more > 0 and redis.call('HLEN', KEYS[4]) + more or 0
if grown > 0 and size > tonumber(ARGV[4]) or fields > tonumber(ARGV[5]) then return {'large', size, fields} end

-- include: riptide.tenants.accounts overhead.lua
-- What other scripts do by functions is written out here, for speed; see there for what it means.
local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * 1000 + math.floor(time[2] / 1000)
local life, before = found[1] * 1000, tonumber(found[2])
local expires = math.ceil((now + life) / 1000)
if grown ~= 0 or expires ~= before then
  local held = redis.call('HMGET', KEYS[1], 'at', 'bytes', before, expires)
  if tonumber(held[1]) ~= second then
    local function settled()
      -- include: riptide.tenants.accounts account.lua
      local done = settle()
      keep()
      return done, at
    end
    local done
    done, second = settled()
    if not done then return {'behind'} end
    expires = math.ceil((math.max(now, second * 1000) + life) / 1000)
    held = redis.call('HMGET', KEYS[1], 'at', 'bytes', before, expires)
  end
  if before <= second then return 0 end
  if expires == before then
    redis.call('HSET', KEYS[1], 'bytes', held[2] + grown, expires, held[4] + grown)
  else
    local counted = size + OVERHEAD
    local left = (held[3] or 0) - counted + grown
    redis.call('HSET', KEYS[1], 'bytes', held[2] + grown, expires, (held[4] or 0) + counted, before, left)
    if left <= 0 then redis.call('HDEL', KEYS[1], before) end
    redis.call('ZADD', KEYS[2], expires, ARGV[3])
    redis.call('PEXPIREAT', KEYS[4], expires * 1000)
  end
  redis.call('HSET', KEYS[4], 'expires', expires, 'size', size)
end
if set > 7 then redis.call('HDEL', KEYS[4], unpack(ARGV, 7, set - 1)) end
redis.call('HSET', KEYS[4], 'rev', found[4] + 1, unpack(ARGV, set))
return 1
