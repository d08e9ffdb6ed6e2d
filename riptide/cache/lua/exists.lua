#!lua flags=no-writes,allow-oom
-- Tells whether a fresh entry with a value is there, without moving the value.
-- KEYS: 1 entry; 2 epoch
-- ARGV: none
-- Returns: 1 or 0
local head = redis.call('GETRANGE', KEYS[1], 0, 63)
if #head < 64 or string.sub(head, 21, 28) ~= redis.call('GET', KEYS[2]) then return 0 end
if string.byte(head, 37) % 4 >= 2 then return 0 end -- negative: the origin has no such value
local soft = struct.unpack('<I8', head, 5)
local time = redis.call('TIME')
if soft > 0 and soft <= time[1] * 1000 + time[2] / 1000 then return 0 end
return 1
