#!lua flags=allow-oom
-- Answers a read that may load: the entry if it is fresh, else the right to load it, given to one caller at a time.
-- KEYS: 1 entry; 2 epoch; 3 lease; 4 namespaces; 5 generation of tag invalidations; 6 the tenant's record
-- ARGV: 1 token, 16 bytes; 2 ms the lease lasts; 3 four random bytes; 4 namespace;
--       5 '1' to load although the entry is fresh, taking the lease from whoever has it; 6 incarnation of the
--       tenant, '' for one without a record
-- Returns: {'hit' | 'load' | 'wait', server ms, epoch, the entry, fresh or stale, or ''}; {'facts'} if the tenant is not
--          the one it was taken for, or not active
local record = redis.call('HMGET', KEYS[6], 'incarnation', 'status')
if (record[1] or '') ~= ARGV[6] or (record[2] or 'active') ~= 'active' then return {'facts'} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = redis.call('GET', KEYS[2])
local entry = redis.call('GET', KEYS[1])
if not entry or string.sub(entry, 21, 28) ~= epoch then entry = '' end
local force = ARGV[5] == '1'
if entry ~= '' and not force then
  local soft = struct.unpack('<I8', entry, 5)
  if soft == 0 or soft > now then return {'hit', now, epoch, entry} end
end
local lease = redis.call('GET', KEYS[3])
if lease and not force and string.sub(lease, 9, 24) ~= ARGV[1] and string.sub(lease, 1, 8) == epoch then
  return {'wait', now, epoch, entry}
end
local life = tonumber(ARGV[2])
local created = not epoch
if created then
  -- The clock is part of it, so that a repeated call never brings back an epoch that was invalidated.
  epoch = struct.pack('<I4', (time[1] * 1000000 + time[2]) % 4294967296) .. ARGV[3]
  redis.call('SET', KEYS[2], epoch, 'PX', life)
end
if created or redis.call('PTTL', KEYS[2]) < life then
  -- An epoch outlives its leases, and is prolonged seldom because near caches hear of it.
  local kept = 2 * life + 86400000
  redis.call('PEXPIRE', KEYS[2], kept)
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)
  redis.call('ZADD', KEYS[4], now + kept, ARGV[4])
  if redis.call('PTTL', KEYS[4]) < kept then redis.call('PEXPIRE', KEYS[4], kept) end
end
local generation = redis.call('GET', KEYS[5]) or '0'
redis.call('SET', KEYS[3], epoch .. ARGV[1] .. generation, 'PX', life)
return {'load', now, epoch, entry}
