-- Writes an audit record: ARGV[first] is for how many ms records are kept, 0: none is written; all after it are the
-- record's field, value, ... The entry's id tells when it was.
local function tell(trail, now, first)
  if ARGV[first] == '0' then return end
  redis.call('XADD', trail, 'MINID', '~', string.format('%.0f', now - ARGV[first]), '*', unpack(ARGV, first + 1))
end
