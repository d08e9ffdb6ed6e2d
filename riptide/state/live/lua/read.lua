#!lua flags=no-writes
-- Reads versions of the configuration.
-- KEYS: 1 the current one; 2 versions by number; 3 what was refused last
-- ARGV: 1 a number, or 'current', or 'all'
-- Returns: {id of the current version, or empty; what was refused last (JSON), or empty; then each version (JSON)}
local reply = {redis.call('HGET', KEYS[1], 'id') or '', redis.call('GET', KEYS[3]) or ''}
local wanted = ARGV[1]
if wanted == 'current' then wanted = redis.call('HGET', KEYS[1], 'number') or '0' end
local found = wanted == 'all' and redis.call('HVALS', KEYS[2]) or {redis.call('HGET', KEYS[2], wanted) or nil}
for _, version in ipairs(found) do reply[#reply + 1] = version end
return reply
