-- Writes an audit record: ARGV[first] is for how many ms records are kept, 0: none is written; all after it are the
-- record's field, value, ...
local function tell(trail, now, first)
  if ARGV[first] == '0' then return end
  redis.call('XADD', trail, 'MINID', '~', string.format('%.0f', now - ARGV[first]), '*',
             'timestamp', string.format('%.0f', now), unpack(ARGV, first + 1))
end
