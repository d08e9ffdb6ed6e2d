#!lua flags=no-writes
-- Reads the next items of a large key. What changes meanwhile may come or not; what stays comes once at least.
-- KEYS: 1 the key
-- ARGV: 1 its type; 2 where to go on, '' at the beginning; 3 about how many items
-- Returns: {where to go on, '' at the end; then the items as dump.lua has them}
local key, kind, at, count = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('TYPE', key)['ok'] ~= kind then return {''} end
if kind == 'stream' then
  local rows = redis.call('XRANGE', key, at == '' and '-' or at, '+', 'COUNT', count)
  return {#rows == count and '(' .. rows[#rows][1] or '', unpack(rows)}
end
if kind == 'list' then
  local first = tonumber(at == '' and '0' or at)
  local rows = redis.call('LRANGE', key, first, first + count - 1)
  return {#rows == count and tostring(first + count) or '', unpack(rows)}
end
local command = ({hash = 'HSCAN', zset = 'ZSCAN', set = 'SSCAN'})[kind]
local next, rows = unpack(redis.call(command, key, at == '' and '0' or at, 'COUNT', count))
return {next == '0' and '' or next, unpack(rows)}
