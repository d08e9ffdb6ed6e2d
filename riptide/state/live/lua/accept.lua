#!lua flags=allow-oom
-- Makes a configuration the current one, unless a later command's has been accepted already.
-- KEYS: 1 the current one; 2 versions by number; 3 what is known of its source; 4 what was refused last
-- ARGV: 1 entry id of the command; 2 SHA-256 of the document; 3 the document; 4 where it comes from; 5 how many versions are
--       kept; 6 seconds that a source is remembered; 7 SHA-256 of what the source itself says, 8 that; 9 id of the current
--       one from which the document has what its source does not say, or empty
-- Returns: {accepted, same (it is current already), late, or moved (9 is current no more); id of the current version}
-- include: ids.lua
local current = redis.call('HMGET', KEYS[1], 'entry', 'digest', 'id', 'number')
if current[1] and later(current[1], ARGV[1]) then return {'late', current[3]} end
if ARGV[9] ~= '' and ARGV[9] ~= current[3] then return {'moved', current[3] or ''} end
local known = redis.call('HMGET', KEYS[3], 'digest', 'document')
redis.call('HSET', KEYS[3], 'digest', ARGV[7], 'document', ARGV[8])
redis.call('EXPIRE', KEYS[3], ARGV[6])
redis.call('DEL', KEYS[4])
if current[2] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'entry', ARGV[1])
  return {'same', current[3]}
end
local time = redis.call('TIME')
local at = time[1] .. string.format('%03d', math.floor(time[2] / 1000))
local number = tonumber(current[4] or 0)
local function keep(entry, digest, document, origin)
  number = number + 1
  local facts = {number = number, at = at, entry = entry, digest = digest, document = document, origin = origin}
  redis.call('HSET', KEYS[2], number, cjson.encode(facts))
  redis.call('HDEL', KEYS[2], number - tonumber(ARGV[5]))
end
-- What was there before the first change, so that there is a way back to it.
if number == 0 and known[1] and known[1] ~= ARGV[7] then keep('0-0', known[1], known[2], ARGV[4] .. ', as it was') end
keep(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
local id = number .. '-' .. string.sub(ARGV[2], 1, 8)
redis.call('HSET', KEYS[1], 'entry', ARGV[1], 'digest', ARGV[2], 'id', id, 'number', number)
return {'accepted', id}
