#!lua flags=no-writes
-- Reads keys of any type by their logical values, those that are small. A stream is not: its entries may be large.
-- KEYS: the keys
-- ARGV: 1 how many items are small; 2 how many bytes are enough; then for each key: what the fields of a hash that are
--       wanted begin with, or ''
-- Returns: for each key, until that many bytes are reached: nothing if there is none; {type, when it expires (Unix ms; -1:
--          never), how many items, ...}, and where they are few the items: field, value or member, score or member or value
local most, enough = tonumber(ARGV[1]), tonumber(ARGV[2])

local function beginning(items, start)
  local kept = {}
  for i = 1, #items, 2 do
    if string.sub(items[i], 1, #start) == start then kept[#kept + 1], kept[#kept + 2] = items[i], items[i + 1] end
  end
  return kept
end

local how = {
  hash = {'HLEN', 'HGETALL'},
  zset = {'ZCARD', 'ZRANGE', 0, -1, 'WITHSCORES'},
  set = {'SCARD', 'SMEMBERS'},
  list = {'LLEN', 'LRANGE', 0, -1},
  string = {'EXISTS', 'GET'},
}

local reply, bytes = {}, 0
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key)['ok']
  local known, found = how[kind], {}
  if kind == 'stream' then
    found = {kind, redis.call('PEXPIRETIME', key), redis.call('XLEN', key)}
  elseif known then
    local count, items = redis.call(known[1], key), {}
    if count <= most then items = redis.call(known[2], key, unpack(known, 3)) end
    if kind == 'string' then items = {items} end
    if ARGV[i + 2] ~= '' and kind == 'hash' then items = beginning(items, ARGV[i + 2]) end
    found = {kind, redis.call('PEXPIRETIME', key), count, unpack(items)}
    for _, item in ipairs(items) do bytes = bytes + #item end
  end
  reply[i] = found
  if bytes >= enough then break end
end
return reply
