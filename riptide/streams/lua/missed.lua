#!lua flags=no-writes
-- Lists what a consumer holds of one stream without knowing it: the reply that brought it was lost.
-- KEYS: 1 the stream
-- ARGV: 1 group; 2 consumer; 3 ids that it knows it holds, separated by spaces; 4 how many entries to list at most
-- Returns: {id, fields, starts before this delivery} of each
local known, reply, from, most = {}, {}, '-', tonumber(ARGV[4])
for id in string.gmatch(ARGV[3], '%S+') do known[id] = true end
while #reply < most do
  local rows = redis.pcall('XPENDING', KEYS[1], ARGV[1], from, '+', 500, ARGV[2])
  if rows.err then return {} end -- no such stream or group: nothing is held
  for _, row in ipairs(rows) do
    if not known[row[1]] and #reply < most then
      local entry = redis.call('XRANGE', KEYS[1], row[1], row[1])[1]
      if entry then reply[#reply + 1] = {entry[1], entry[2], row[4] - 1} end
    end
  end
  if #rows < 500 then break end
  from = '(' .. rows[#rows][1]
end
return reply
