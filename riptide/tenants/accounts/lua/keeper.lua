#!lua flags=allow-oom
-- Takes, keeps or gives up the lease of the one that looks after something for all.
-- KEYS: 1 lease
-- ARGV: 1 who asks; 2 ms it lasts from now on, 0 to give it up
-- Returns: 1 if it is theirs, or was; 0 if it is another's
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
