#!lua flags=allow-oom
-- Removes a consumer that stops from one partition, if it holds nothing there.
-- KEYS: 1 the consumer's fence; 2.. the streams
-- ARGV: 1 group; 2 consumer
-- Returns: how many entries it still holds; with 0 it is gone
local held = 0
for i = 2, #KEYS do
  local pending = redis.pcall('XPENDING', KEYS[i], ARGV[1], '-', '+', 1, ARGV[2])
  if not pending.err then
    held = held + #pending
    if #pending == 0 then redis.call('XGROUP', 'DELCONSUMER', KEYS[i], ARGV[1], ARGV[2]) end
  end
end
if held == 0 then redis.call('DEL', KEYS[1]) end
return held
