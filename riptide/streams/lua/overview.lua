#!lua flags=no-writes
-- How the streams of one partition stand.
-- KEYS: for each type three: stream, retries, dead letters
-- ARGV: 1 group; 2 how many entries to count at most where the server does not know
-- Returns: for each type {entries in the stream; -1 or entries that no consumer has seen; pending; consumers;
--          waiting retries; dead letters; age in ms of the oldest unfinished entry, or -1; entries ever delivered, or -1}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function age(id) return now - tonumber(string.match(id, '^(%d+)-')) end
local reply = {}
for i = 1, #KEYS, 3 do
  local row = {redis.call('XLEN', KEYS[i]), 0, 0, 0, redis.call('ZCARD', KEYS[i + 1]), redis.call('XLEN', KEYS[i + 2]), -1, 0}
  local groups = redis.pcall('XINFO', 'GROUPS', KEYS[i])
  if groups.err then groups = {} end
  local found = false
  for _, group in ipairs(groups) do
    local at = {}
    for j = 1, #group, 2 do at[group[j]] = group[j + 1] end
    if at['name'] == ARGV[1] then
      found = true
      row[3], row[4] = at['pending'], at['consumers']
      row[8] = at['entries-read'] or -1
      local unseen = redis.call('XRANGE', KEYS[i], '(' .. at['last-delivered-id'], '+', 'COUNT', 1)[1]
      if at['lag'] then
        row[2] = at['lag']
      elseif unseen then -- the server cannot tell while a deletion lies ahead
        local most = tonumber(ARGV[2])
        local counted = #redis.call('XRANGE', KEYS[i], '(' .. at['last-delivered-id'], '+', 'COUNT', most)
        row[2] = counted < most and counted or -1
      end
      local held = redis.call('XPENDING', KEYS[i], ARGV[1])[2]
      if held then row[7] = age(held) elseif unseen then row[7] = age(unseen[1]) end
    end
  end
  if not found and row[1] > 0 then
    row[2], row[7] = row[1], age(redis.call('XRANGE', KEYS[i], '-', '+', 'COUNT', 1)[1][1])
  end
  reply[#reply + 1] = row
end
return reply
