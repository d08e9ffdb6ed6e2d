#!lua
-- Puts one dead letter back into its stream, to be tried from the start.
-- KEYS: 1 dead letters; 2 the stream; 3 retries; 4 result
-- ARGV: 1 id of the dead letter; 2 command id; 3 issued at (ms); 4 first entry id; 5 the original fields, packed
-- Returns: 1, or 0 if that dead letter is gone
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'id', ARGV[2], 'at', ARGV[3], 'src', ARGV[4], 'attempts', '0', 'orig', ARGV[5])
redis.call('ZADD', KEYS[3], 'NX', '+inf', ARGV[4])
redis.call('DEL', KEYS[4])
return 1
