#!lua flags=allow-oom
-- Puts keys of a checkpoint back, or parts of them.
-- KEYS: for each four: the key; where a large one is put together; the record of its tenant, or in a partition the tenants
--       that were purged; what this restore may bring back without a record
-- ARGV: 1 '1' to tell only; 2 seconds after which what was not put together to its end is gone; then for each: 'absent',
--       'merge' or 'greatest'; type; when it expires (Unix ms), 0: never; '1' if this is the first part; '1' if it is the
--       last; incarnation of its tenant, or '' (it is no tenant's: '-'); in a partition the field that tells of the tenant's
--       purge, else ''; how many items; the items, as dump.lua has them
-- Returns: for each how many items or keys were written, or would be; -1 if another tenant has the id, or it was purged
-- include: ids.lua
local only_tell = ARGV[1] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function unpacked(text) -- fields of an entry
  local at, fields = 1, {}
  while at <= #text do
    local value
    value, at = struct.unpack('>I4c0', text, at)
    fields[#fields + 1] = value
  end
  return fields
end

local function last_of(name)
  local info = redis.pcall('XINFO', 'STREAM', name)
  if info.err then return '0-0' end
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end

local function write(name, kind, from, to) -- to what is empty or holds the parts before
  if to < from then return end
  if kind == 'hash' then
    redis.call('HSET', name, unpack(ARGV, from, to))
  elseif kind == 'list' then
    redis.call('RPUSH', name, unpack(ARGV, from, to))
  elseif kind == 'string' then
    redis.call('SET', name, ARGV[from])
  elseif kind == 'stream' then
    for i = from, to, 2 do redis.call('XADD', name, ARGV[i], unpack(unpacked(ARGV[i + 1]))) end
  end
end

-- A key that is there stays. A large one is put together beside it, and then gets its name.
local function put_whole(key, beside, kind, expires, first, last, from, to)
  if redis.call('EXISTS', key) == 1 then
    if not (first and last) then redis.call('DEL', beside) end
    return 0
  end
  if only_tell then return last and 1 or 0 end
  if first and last then
    write(key, kind, from, to)
  else
    if first then redis.call('DEL', beside) end
    if not first and redis.call('EXISTS', beside) == 0 then return 0 end -- it took longer than that is kept
    write(beside, kind, from, to)
    redis.call('EXPIRE', beside, ARGV[2])
    if not last then return 0 end
    redis.call('PERSIST', beside)
    redis.call('RENAME', beside, key)
  end
  if expires > 0 then redis.call('PEXPIREAT', key, expires) end
  return 1
end

local function put_items(key, way, kind, expires, from, to)
  local written, reached = 0, kind == 'stream' and last_of(key)
  for i = from, to, (kind == 'set' or kind == 'string') and 1 or 2 do
    local item, value, new, command = ARGV[i], ARGV[i + 1], false, nil
    if kind == 'hash' then
      local there = redis.call('HGET', key, item)
      new = not there or way == 'greatest' and tonumber(value) > tonumber(there)
      command = {'HSET', key, item, value}
    elseif kind == 'zset' then
      local there = redis.call('ZSCORE', key, item)
      new = not there or way == 'greatest' and tonumber(value) > tonumber(there)
      command = {'ZADD', key, value, item}
    elseif kind == 'set' then
      new, command = redis.call('SISMEMBER', key, item) == 0, {'SADD', key, item}
    elseif kind == 'string' then
      new, command = redis.call('EXISTS', key) == 0, {'SET', key, item}
    elseif later(item, reached) then -- what is older than what is there cannot be added to a stream
      new, command = true, {'XADD', key, item, unpack(unpacked(value))}
    end
    if new then
      written = written + 1
      if not only_tell then redis.call(unpack(command)) end
    end
  end
  if written > 0 and not only_tell and expires > 0 and redis.call('PTTL', key) == -1 then
    redis.call('PEXPIREAT', key, expires)
  end
  return written
end

local told = {} -- by where it stands: incarnations, and purges
local function look(place, field)
  local name = place .. ' ' .. field
  if told[name] == nil then told[name] = redis.call('HGET', place, field) end
  return told[name]
end

-- Where there is no record, it has been removed by a purge, unless there was none when this restore began.
local function is_refused(place, permit, incarnation, field)
  if incarnation == '-' then return false end
  if field ~= '' then
    local purge = look(place, field)
    return incarnation ~= '' and (purge == incarnation or purge == incarnation .. ' over')
  end
  local owner = look(place, 'incarnation')
  if owner then return owner ~= incarnation end
  return incarnation ~= '' and not only_tell and redis.call('EXISTS', permit) == 0
end

local reply, at = {}, 3
for i = 1, #KEYS, 4 do
  local way, kind, expires, first, last, incarnation, field, count = unpack(ARGV, at, at + 7)
  local from, to = at + 8, at + 7 + tonumber(count)
  expires, at = tonumber(expires), to + 1
  local answer = 0
  if is_refused(KEYS[i + 2], KEYS[i + 3], incarnation, field) then
    answer = -1
  elseif expires == 0 or expires > now then
    if kind == 'list' or way == 'absent' and kind ~= 'zset' and kind ~= 'set' then
      answer = put_whole(KEYS[i], KEYS[i + 1], kind, expires, first == '1', last == '1', from, to)
    else
      answer = put_items(KEYS[i], way, kind, expires, from, to)
    end
  end
  reply[#reply + 1] = answer
end
return reply
