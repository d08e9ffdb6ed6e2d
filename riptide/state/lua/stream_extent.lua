#!lua flags=no-writes
-- How far a stream reaches.
-- KEYS: 1 the stream
-- ARGV: none
-- Returns: {number of entries; first id, or empty; last id ever given, or empty}
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then return {0, '', ''} end
local at = {}
for i = 1, #info, 2 do at[info[i]] = info[i + 1] end
return {at['length'], at['first-entry'] and at['first-entry'][1] or '', at['last-generated-id']}
