#!lua
-- Writes one entry, and creates or prolongs its namespace's epoch. A write under a lease is refused if the
-- lease ended, or the key, its namespace or one of its tags was invalidated since; any other write ends the lease.
-- KEYS: 1 account; 2 index of entries; 3 record; 4 entry; 5 epoch; 6 lease; 7 namespaces; 8.. indexes of its n tags;
--       under a lease then: the n tags' stamps
-- ARGV: 1 the packed entry, soft expiry 0; 2 ms to live; 3 ms it may be served stale after that; 4 four random
--       bytes; 5 namespace; 6 the entry's digest; 7 its member of the index; 8 token of the lease, or ''; 9 incarnation
--       of the tenant, '' for one without a record; 10 most bytes, 11 most entries in this slot, -1: unlimited;
--       12 '1' if the record's limits win; 13 id of the tenant's data key, 0: its data is not encrypted; 14 revision of
--       the record that says so
-- Returns: 1 written; 0 refused; the current epoch, if the entry was packed for another; {'facts'} if the tenant is
--          not the one it was taken for, or not active, or has another data key; {'over', bytes there would be, most bytes, more that other slots
--          have lent, and the same of entries} if that is too much; {'behind'} if the account has to be settled first
local record = redis.call('HMGET', KEYS[3], 'incarnation', 'status', 'limit:memory_bytes', 'limit:cache_entries', 'key')
if (record[1] or '') ~= ARGV[9] or (record[2] or 'active') ~= 'active' then return {'facts'} end
if (record[5] or ARGV[13]) ~= ARGV[13] then
  -- In the slot of a shard the record may be behind what the writer knows.
  if tonumber(redis.call('HGET', KEYS[3], 'revision') or 0) >= tonumber(ARGV[14]) then return {'facts'} end
end

-- include: riptide.tenants.accounts overhead.lua
local life = ARGV[2] + ARGV[3]
local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * 1000 + math.floor(time[2] / 1000)
-- Whole seconds, so that expired entries can be taken off the account by their second.
local expires = math.ceil((now + life) / 1000)
local before = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[7]) or 0)
-- What other scripts do by functions is written out here, for speed; see there for what it means.
local fields = {'entries', 'bytes', 'at', expires, before, 'shift:bytes', 'shift:entries'}
local held = redis.call('HMGET', KEYS[1], unpack(fields))
if held[3] and tonumber(held[3]) ~= second then
  local function settled()
    -- include: riptide.tenants.accounts account.lua
    local done = settle()
    keep()
    return done, at
  end
  local done
  done, second = settled()
  if not done then return {'behind'} end
  now = math.max(now, second * 1000)
  expires = math.ceil((now + life) / 1000)
  fields[4] = expires
  held = redis.call('HMGET', KEYS[1], unpack(fields))
end
local left = expires * 1000 - now

local found = redis.call('MGET', KEYS[5], KEYS[6])
local epoch, lease = found[1], found[2]
local tags = #KEYS - 7
if ARGV[8] ~= '' then
  tags = tags / 2
  if not lease or string.sub(lease, 9, 24) ~= ARGV[8] then return 0 end
  local void = string.sub(lease, 1, 8) ~= epoch
  local generation = tonumber(string.sub(lease, 25))
  for i = 8 + tags, #KEYS do
    local stamp = redis.call('GET', KEYS[i])
    void = void or (stamp and tonumber(stamp) > generation)
  end
  if void then
    redis.call('DEL', KEYS[6])
    return 0
  end
end
local created = not epoch
if created then
  -- The clock is part of it, so that a repeated call never brings back an epoch that was invalidated.
  epoch = struct.pack('<I4', (time[1] * 1000000 + time[2]) % 4294967296) .. ARGV[4]
  redis.call('SET', KEYS[5], epoch, 'PX', left)
end
if created or redis.call('PTTL', KEYS[5]) < left then
  -- An epoch outlives its entries, and is prolonged seldom because near caches hear of it.
  local kept = 2 * left + 86400000
  redis.call('PEXPIRE', KEYS[5], kept)
  redis.call('ZREMRANGEBYSCORE', KEYS[7], '-inf', now)
  redis.call('ZADD', KEYS[7], now + kept, ARGV[5])
  if redis.call('PTTL', KEYS[7]) < kept then redis.call('PEXPIRE', KEYS[7], kept) end
end
if string.sub(ARGV[1], 21, 28) ~= epoch then return epoch end

local size = #ARGV[1] + OVERHEAD
local entries, bytes = (held[1] or 0) + 1, (held[2] or 0) + size
local replaces, old = before > second, 0
if replaces then
  old = redis.call('STRLEN', KEYS[4])
  if old > 0 then
    old = old + OVERHEAD
  elseif redis.call('ZCOUNT', KEYS[2], before, before) == 1 then -- somebody else has removed it
    old = tonumber(held[5]) or 0
  end
  entries, bytes = entries - 1, bytes - old
end
local most_bytes, most_entries = tonumber(ARGV[10]), tonumber(ARGV[11])
if ARGV[12] == '1' then
  most_bytes, most_entries = tonumber(record[3]) or most_bytes, tonumber(record[4]) or most_entries
end
local more_bytes, more_entries = held[6] or 0, held[7] or 0 -- from the tenant's other slots, or given to them
if most_bytes >= 0 and bytes > most_bytes + more_bytes or most_entries >= 0 and entries > most_entries + more_entries then
  return {'over', bytes, most_bytes, tonumber(more_bytes), entries, most_entries, tonumber(more_entries)}
end
if not held[3] then
  -- A value of more than 64 bytes makes a table of the hash from the start, in which many fields are found at once.
  redis.call('HSET', KEYS[1], '~', string.rep('~', 65), 'at', second)
end
if not replaces then
  redis.call('HSET', KEYS[1], 'entries', entries, 'bytes', bytes, expires, (held[4] or 0) + size)
elseif before == expires then
  redis.call('HSET', KEYS[1], 'bytes', bytes, expires, (held[4] or 0) + size - old)
elseif (tonumber(held[5]) or 0) > old then
  redis.call('HSET', KEYS[1], 'bytes', bytes, expires, (held[4] or 0) + size, before, held[5] - old)
else
  redis.call('HSET', KEYS[1], 'bytes', bytes, expires, (held[4] or 0) + size)
  redis.call('HDEL', KEYS[1], before)
end
if before ~= expires then redis.call('ZADD', KEYS[2], expires, ARGV[7]) end

redis.call('SET', KEYS[4], ARGV[1], 'PXAT', expires * 1000)
if ARGV[3] ~= '0' then
  -- Soft expiry by the server's clock; the checksum holds it as XOR.
  local soft = struct.pack('<I8', now + ARGV[2])
  local sum = {}
  for i = 1, 8 do
    sum[i] = string.char(bit.bxor(string.byte(ARGV[1], 12 + i), string.byte(soft, i)))
  end
  redis.call('SETRANGE', KEYS[4], 4, soft .. table.concat(sum))
end
for i = 8, 7 + tags do
  local gone = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now, 'LIMIT', 0, 20)
  if #gone > 0 then redis.call('ZREM', KEYS[i], unpack(gone)) end
  redis.call('ZADD', KEYS[i], expires * 1000, ARGV[6])
  if redis.call('PTTL', KEYS[i]) < left then redis.call('PEXPIRE', KEYS[i], left) end
end
if lease then redis.call('DEL', KEYS[6]) end
return 1
