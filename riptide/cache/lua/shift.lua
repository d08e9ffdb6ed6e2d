#!lua flags=allow-oom
-- Moves a part of a tenant's caps into or out of this slot: what is given away is taken from what is not used.
-- KEYS: 1 account; 2 record
-- ARGV: 1 bytes, 2 entries: more by so many, or less if negative; 3 most bytes, 4 most entries in this slot, -1: unlimited;
--       5 '1' if the record's limits win
-- Returns: {bytes, entries} by which the slot's part has grown; what is given away may be less than asked for
local record = redis.call('HMGET', KEYS[2], 'limit:memory_bytes', 'limit:cache_entries')
local names = {'bytes', 'entries'}
local answer = {}
for i, name in ipairs(names) do
  local more, most = tonumber(ARGV[i]), tonumber(ARGV[2 + i])
  if ARGV[5] == '1' then most = tonumber(record[i]) or most end
  local held = redis.call('HMGET', KEYS[1], name, 'shift:' .. name)
  if more < 0 then more = -math.min(-more, math.max(0, most + (held[2] or 0) - (held[1] or 0))) end
  if more ~= 0 then redis.call('HINCRBY', KEYS[1], 'shift:' .. name, more) end
  answer[i] = more
end
return answer
