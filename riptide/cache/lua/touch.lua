#!lua
-- Gives a fresh entry a new time to live, in its tags' indexes too.
-- KEYS: 1 entry; 2 epoch; 3 namespaces; 4.. indexes of its tags
-- ARGV: 1 ms to live; 2 namespace; 3 the entry's digest; 4 ids of its tags as far as known, 8 bytes each, joined
-- Returns: 1 done; 0 there is no fresh entry; or the ids of its tags, if they are others
local head = redis.call('GETRANGE', KEYS[1], 0, 575)
if #head < 64 or string.sub(head, 21, 28) ~= redis.call('GET', KEYS[2]) then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local soft = struct.unpack('<I8', head, 5)
if soft > 0 and soft <= now then return 0 end
local tags = string.sub(head, 65, 64 + 8 * string.byte(head, 39))
if tags ~= ARGV[4] then return tags end
local life = ARGV[1] + struct.unpack('<I8', head, 57)
redis.call('PEXPIRE', KEYS[1], life)
if soft > 0 then
  -- The checksum holds the soft expiry as XOR: the old one out, the new one in.
  local new = struct.pack('<I8', now + ARGV[1])
  local sum = {}
  for i = 1, 8 do
    sum[i] = string.char(bit.bxor(string.byte(head, 12 + i), string.byte(head, 4 + i), string.byte(new, i)))
  end
  redis.call('SETRANGE', KEYS[1], 4, new .. table.concat(sum))
end
for i = 4, #KEYS do
  redis.call('ZADD', KEYS[i], now + life, ARGV[3])
  if redis.call('PTTL', KEYS[i]) < life then redis.call('PEXPIRE', KEYS[i], life) end
end
if redis.call('PTTL', KEYS[2]) < life then
  local kept = 2 * life + 86400000
  redis.call('PEXPIRE', KEYS[2], kept)
  redis.call('ZADD', KEYS[3], now + kept, ARGV[2])
  if redis.call('PTTL', KEYS[3]) < kept then redis.call('PEXPIRE', KEYS[3], kept) end
end
return 1
