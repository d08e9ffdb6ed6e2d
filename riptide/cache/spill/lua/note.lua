#!lua flags=allow-oom
-- Notes what has become of blobs of entries, and how long that took. Those that are not listed are let be: the tenant may be
-- gone.
-- KEYS: 1 account of the tenant; 2 blobs of entries
-- ARGV: 1 what is counted, 'spilled' or 'restored', '' for nothing; 2 microseconds that took; then for each the second at
--       which its entry expires, 0: nobody needs it any more; blob
-- Returns: how many were noted
local noted = 0
for i = 3, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[2], ARGV[i + 1]) then
    redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 1])
    noted = noted + 1
  end
end
if noted > 0 and ARGV[1] ~= '' then
  redis.call('HINCRBY', KEYS[1], ARGV[1], noted)
  redis.call('HINCRBY', KEYS[1], ARGV[1] .. ':us', ARGV[2])
end
return noted
