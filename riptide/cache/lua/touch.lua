#!lua
-- Gives a fresh entry a new time to live, in its tags' indexes too.
-- KEYS: 1 account; 2 index of entries; 3 entry; 4 epoch; 5 namespaces; 6.. indexes of its tags
-- ARGV: 1 ms to live; 2 namespace; 3 the entry's digest; 4 ids of its tags as far as known, 8 bytes each, joined
-- Returns: 1 done; 0 there is no fresh entry; the ids of its tags, if they are others; {'behind'} if the account has to
--          be settled first

-- include: riptide.tenants.accounts account.lua

local head = redis.call('GETRANGE', KEYS[3], 0, 575)
if #head < 64 or string.sub(head, 21, 28) ~= redis.call('GET', KEYS[4]) then return 0 end
local soft = struct.unpack('<I8', head, 5)
if soft > 0 and soft <= now then return 0 end
local tags = string.sub(head, 65, 64 + 8 * string.byte(head, 39))
if tags ~= ARGV[4] then return tags end
local stale = struct.unpack('<I8', head, 57)
if stale > 1e12 then return 0 end -- nobody may ask for so long: it is damaged, and gone with the next read
if not settle() then return {'behind'} end
local member = ARGV[2] .. ':' .. ARGV[3]
local size, before = counted(KEYS[3], member)
if not size then -- its second has come
  keep()
  return 0
end
local expires = math.ceil((now + ARGV[1] + stale) / 1000)
local left = expires * 1000 - now
count(before, -1, -size)
count(expires, 1, size)
keep()
redis.call('ZADD', KEYS[2], expires, member)
redis.call('PEXPIREAT', KEYS[3], expires * 1000)
if soft > 0 then
  -- The checksum holds the soft expiry as XOR: the old one out, the new one in.
  local new = struct.pack('<I8', now + ARGV[1])
  local sum = {}
  for i = 1, 8 do
    sum[i] = string.char(bit.bxor(string.byte(head, 12 + i), string.byte(head, 4 + i), string.byte(new, i)))
  end
  redis.call('SETRANGE', KEYS[3], 4, new .. table.concat(sum))
end
for i = 6, #KEYS do
  redis.call('ZADD', KEYS[i], expires * 1000, ARGV[3])
  if redis.call('PTTL', KEYS[i]) < left then redis.call('PEXPIRE', KEYS[i], left) end
end
if redis.call('PTTL', KEYS[4]) < left then
  local kept = 2 * left + 86400000
  redis.call('PEXPIRE', KEYS[4], kept)
  redis.call('ZADD', KEYS[5], now + kept, ARGV[2])
  if redis.call('PTTL', KEYS[5]) < kept then redis.call('PEXPIRE', KEYS[5], kept) end
end
return 1
