-- full(stream, slow, flag, most, remember): the error that refuses more for a stream, FULL <backlog> <stream>, or nil.
-- `most` is how large its backlog may be, with that of its slow stream. While the flag stands it is believed; with
-- `remember` it is raised for a second. Include it where both are as long as that: other calls then make no functions.
-- include: fields.lua
-- include: groups.lua

-- How much of a stream is unfinished; estimated by age where the server cannot tell, as after a deletion.
local function unfinished(key)
  local length = redis.call('XLEN', key)
  if length == 0 then return 0 end
  local group = groups_of(key)['workers']
  if not group then return length end
  if group['lag'] then return group['lag'] + group['pending'] end
  local info = fields(redis.call('XINFO', 'STREAM', key))
  local function ms(id) return tonumber(string.match(id, '^%d+')) end
  local from, to = ms(info['first-entry'][1]), ms(info['last-generated-id'])
  local share = (to - math.max(from, ms(group['last-delivered-id']))) / math.max(1, to - from)
  return math.floor(length * share) + group['pending']
end

local function full(stream, slow, flag, most, remember)
  local backlog = redis.call('GET', flag)
  if not backlog then
    backlog = unfinished(stream) + unfinished(slow)
    if backlog < most then return nil end
    if remember then redis.call('SET', flag, backlog, 'EX', 1) end
  end
  return redis.error_reply('FULL ' .. string.format('%d', backlog) .. ' ' .. stream)
end
