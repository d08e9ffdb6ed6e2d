#!lua flags=no-writes,allow-oom
-- Tells which entries have no place in the index, or another than their expiry says.
-- KEYS: 1 index of entries; 2.. the entries
-- ARGV: the entries' members of the index
-- Returns: members of such entries
local now = tonumber(redis.call('TIME')[1])
local strays = {}
for i, member in ipairs(ARGV) do
  local expires = redis.call('PEXPIRETIME', KEYS[1 + i])
  -- -1: it never expires, which no script here writes. What expires now may be taken off already.
  if expires == -1 or expires > now * 1000 then
    if tonumber(redis.call('ZSCORE', KEYS[1], member) or 0) * 1000 ~= expires then strays[#strays + 1] = member end
  end
end
return strays
