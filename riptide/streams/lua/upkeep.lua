#!lua flags=allow-oom
-- Keeps the streams of one partition bounded, and notes where each group would have to begin again.
-- An entry stays for the replay window, and as long as a registered group or the newest checkpoint needs it.
-- KEYS: 1 positions of the worker group; 2 ids that the newest checkpoint needs; 3.. the streams
-- ARGV: 1 the workers' group; 2 window in bytes; then for each stream three: its name in 1; its window in ms, or 0 where
--       nothing finished is kept; and the names of all groups that it is kept for, separated by spaces
-- Returns: {1 if there is more to trim, else 0; then for each stream that is held beyond its window four: its position
--          in KEYS, from 0 for the first stream; the group that holds it, or ~checkpoint; ms that it lies behind; entries held}
-- include: fields.lua
-- include: groups.lua
-- include: ids.lua
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function parts(id) return string.match(id, '^(%d+)-(%d+)$') end

local function one_less(digits) -- of a number of any length
  local head, digit, zeros = string.match(digits, '^(%d-)([1-9])(0*)$')
  return string.match(head .. (digit - 1) .. string.rep('9', #zeros), '^0*(%d+)$')
end

local function just_before(id) -- what a group must have been given last, so that `id` comes next
  local ms, seq = parts(id)
  if seq == '0' then return one_less(ms) .. '-18446744073709551615' end
  return ms .. '-' .. one_less(seq)
end

-- The first entry that a group still needs, if any, and where it would begin again.
local function needs(key, group, last)
  local given = group['last-delivered-id']
  if group['pending'] > 0 then
    local oldest = redis.call('XPENDING', key, group['name'])[2]
    return oldest, just_before(oldest)
  end
  if not later(last, given) then return nil, given end
  local next = redis.call('XRANGE', key, '(' .. given, '+', 'COUNT', 1)[1]
  return next and next[1], given
end

-- Bytes that a stream takes; from its first entries, where the server does not tell.
local function size_of(key)
  local used = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 5)
  if type(used) == 'number' then return used end
  local bytes, rows = 0, redis.call('XRANGE', key, '-', '+', 'COUNT', 10)
  for _, row in ipairs(rows) do
    for _, text in ipairs(row[2]) do bytes = bytes + #text end
  end
  return bytes / math.max(1, #rows) * redis.call('XLEN', key)
end

local function cut_of(key, first, last, window)
  local cut = now - window
  local used = size_of(key)
  if used > tonumber(ARGV[2]) then
    -- Between the first and the last entry as many lie per ms as anywhere: where that is wrong, the next call mends it.
    local from, to = tonumber((parts(first))), tonumber((parts(last)))
    cut = math.max(cut, math.ceil(from + (to + 1 - from) * (1 - ARGV[2] / used)))
  end
  return string.format('%.0f', math.max(cut, 0)) .. '-0'
end

local function trim(key, stream, keep, window)
  if stream['length'] == 0 then return 0, false end
  local cut = cut_of(key, stream['first-entry'][1], stream['last-generated-id'], window)
  local held = keep and later(cut, keep)
  return redis.call('XTRIM', key, 'MINID', '~', held and keep or cut), held
end

local reply = {0}
for i = 3, #KEYS do
  local key, kind, window, holders = KEYS[i], ARGV[3 * i - 6], tonumber(ARGV[3 * i - 5]), ARGV[3 * i - 4]
  local info = redis.pcall('XINFO', 'STREAM', key)
  if not info.err then
    local stream, groups = fields(info), groups_of(key)
    local keep, holder = redis.call('HGET', KEYS[2], kind), '~checkpoint'
    for name in string.gmatch(holders, '%S+') do
      local need = '0-0'
      if groups[name] then
        local start
        need, start = needs(key, groups[name], stream['last-generated-id'])
        if name == ARGV[1] then redis.call('HSET', KEYS[1], kind, start) end
      end
      if need and (not keep or later(keep, need)) then keep, holder = need, name end
    end
    local removed, held = trim(key, stream, keep, window)
    if removed >= 5000 then reply[1] = 1 end
    if held and window > 0 then
      local ms = now - (parts(keep == '0-0' and stream['first-entry'][1] or keep))
      for _, fact in ipairs({i - 3, holder, math.max(0, ms), redis.call('XLEN', key)}) do reply[#reply + 1] = fact end
    end
  end
end
return reply
