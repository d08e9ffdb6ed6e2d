#!lua
-- Writes one entry, and creates or prolongs its namespace's epoch. A write under a lease is refused if the
-- lease ended, or the key, its namespace or one of its tags was invalidated since; any other write ends the lease.
-- KEYS: 1 entry; 2 epoch; 3 lease; 4 namespaces; 5.. indexes of its n tags; under a lease then: the n tags' stamps
-- ARGV: 1 the packed entry, soft expiry 0; 2 ms to live; 3 ms it may be served stale after that; 4 four random
--       bytes; 5 namespace; 6 the entry's digest; 7 token of the lease, or ''
-- Returns: 1 written; 0 refused; or the current epoch, if the entry was packed for another
local leased = ARGV[7] ~= ''
local tags = leased and (#KEYS - 4) / 2 or #KEYS - 4
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local life = ARGV[2] + ARGV[3]
local epoch = redis.call('GET', KEYS[2])
if leased then
  local lease = redis.call('GET', KEYS[3])
  if not lease or string.sub(lease, 9, 24) ~= ARGV[7] then return 0 end
  local void = string.sub(lease, 1, 8) ~= epoch
  local generation = tonumber(string.sub(lease, 25))
  for i = 5 + tags, #KEYS do
    local stamp = redis.call('GET', KEYS[i])
    void = void or (stamp and tonumber(stamp) > generation)
  end
  if void then
    redis.call('DEL', KEYS[3])
    return 0
  end
end
local created = not epoch
if created then
  -- The clock is part of it, so that a repeated call never brings back an epoch that was invalidated.
  epoch = struct.pack('<I4', (time[1] * 1000000 + time[2]) % 4294967296) .. ARGV[4]
  redis.call('SET', KEYS[2], epoch, 'PX', life)
end
if created or redis.call('PTTL', KEYS[2]) < life then
  -- An epoch outlives its entries, and is prolonged seldom because near caches hear of it.
  local kept = 2 * life + 86400000
  redis.call('PEXPIRE', KEYS[2], kept)
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
  redis.call('ZADD', KEYS[4], now + kept, ARGV[5])
  if redis.call('PTTL', KEYS[4]) < kept then redis.call('PEXPIRE', KEYS[4], kept) end
end
if string.sub(ARGV[1], 21, 28) ~= epoch then return epoch end
redis.call('SET', KEYS[1], ARGV[1], 'PX', life)
if tonumber(ARGV[3]) > 0 then
  -- Soft expiry by the server's clock; the checksum holds it as XOR.
  local soft = struct.pack('<I8', now + ARGV[2])
  local sum = {}
  for i = 1, 8 do
    sum[i] = string.char(bit.bxor(string.byte(ARGV[1], 12 + i), string.byte(soft, i)))
  end
  redis.call('SETRANGE', KEYS[1], 4, soft .. table.concat(sum))
end
for i = 5, 4 + tags do
  local gone = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now, 'LIMIT', 0, 20)
  if #gone > 0 then redis.call('ZREM', KEYS[i], unpack(gone)) end
  redis.call('ZADD', KEYS[i], now + life, ARGV[6])
  if redis.call('PTTL', KEYS[i]) < life then redis.call('PEXPIRE', KEYS[i], life) end
end
redis.call('DEL', KEYS[3])
return 1
