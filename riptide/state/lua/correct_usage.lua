#!lua flags=allow-oom
-- Corrects the sums of a tenant in one partition, if no other restore has done so since they were read.
-- KEYS: 1 purged tenants; 2 which restore was the last; 3 the tenant's seals; 4.. its sums
-- ARGV: 1 digest of its id; 2 incarnation, or ''; 3 this step of this restore; 4 the last one that was seen, or '';
--       5 how many months; for each: month, how often it was sealed when it was read, how often it is to be, until when
--       that is kept (s); then for each of the sums: until when they are kept (s), how many fields; for each of these:
--       name, amount to add
-- Returns: 1, also if this step had been done before; 0 if it has to be read anew; -1 if the tenant was purged
local digest, incarnation, at = ARGV[1], ARGV[2], 6
local purged = redis.call('HGET', KEYS[1], digest .. ':state')
if incarnation ~= '' and (purged == incarnation or purged == incarnation .. ' over') then return -1 end
local last = redis.call('HGET', KEYS[2], digest) or ''
if last == ARGV[3] then return 1 end
if last ~= ARGV[4] then return 0 end
local months = tonumber(ARGV[5])
for i = 0, months - 1 do
  local there = redis.call('HGET', KEYS[3], ARGV[at + 4 * i]) or '0'
  if there ~= ARGV[at + 4 * i + 1] then return 0 end
end
for _ = 1, months do
  local month, seen, wanted, kept = unpack(ARGV, at, at + 3)
  if wanted ~= seen then
    redis.call('HSET', KEYS[3], month, wanted)
    if redis.call('EXPIRETIME', KEYS[3]) < tonumber(kept) then redis.call('EXPIREAT', KEYS[3], kept) end
  end
  at = at + 4
end
for i = 4, #KEYS do
  local expires, count = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  for _ = 1, count do
    redis.call('HINCRBY', KEYS[i], ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  redis.call('EXPIREAT', KEYS[i], expires)
end
redis.call('HSET', KEYS[2], digest, ARGV[3])
redis.call('EXPIRE', KEYS[2], 604800)
return 1
