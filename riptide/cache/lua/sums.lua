#!lua flags=no-writes,allow-oom
-- Adds up an account's own parts.
-- KEYS: 1 account; 2 index of entries
-- ARGV: none
-- Returns: {entries, how many the index lists, bytes, the sum of all seconds' bytes}
local fields = redis.call('HGETALL', KEYS[1])
local held, bytes = {}, 0
for i = 1, #fields, 2 do
  held[fields[i]] = tonumber(fields[i + 1])
  if tonumber(fields[i]) then bytes = bytes + fields[i + 1] end
end
local listed = redis.call('ZCOUNT', KEYS[2], '(' .. (held.at or 0), '+inf')
return {held.entries or 0, listed, held.bytes or 0, bytes}
