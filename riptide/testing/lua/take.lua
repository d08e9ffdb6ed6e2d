#!lua
-- Hands a consumer what is new in the streams of one partition.
-- KEYS: streams
-- ARGV: 1 group; 2 consumer; 3 how many entries at most, per stream
-- Returns: of each stream that had some: {its position in KEYS, from 0; its entries}
local reply = {}
for i = 1, #KEYS do
  local read = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[i], '>')
  if read and read[1] then reply[#reply + 1] = {i - 1, read[1][2]} end
end
return reply
