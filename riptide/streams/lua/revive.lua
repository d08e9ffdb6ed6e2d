#!lua
-- Puts one dead letter back into its stream, to be tried from the start.
-- KEYS: 1 dead letters; 2 the stream; 3 retries; 4 bodies of retries; 5 result
-- ARGV: 1 id of the dead letter; 2 command id; 3 issued at (ms); 4 first entry id; 5 the original fields, packed
-- Returns: 1, or 0 if that dead letter is gone; an error if the command of that entry waits or runs again
if redis.call('HEXISTS', KEYS[4], ARGV[4]) == 1 then
  return redis.error_reply('ALIVE the command ' .. ARGV[4] .. ' is on its way already')
end
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
local back = redis.call('XADD', KEYS[2], '*', 'id', ARGV[2], 'at', ARGV[3], 'src', ARGV[4], 'attempts', '0', 'orig', ARGV[5])
redis.call('ZADD', KEYS[3], '+inf', ARGV[4])
redis.call('HSET', KEYS[4], ARGV[4], back) -- whoever is given it can tell it from a forged one
redis.call('DEL', KEYS[5])
return 1
