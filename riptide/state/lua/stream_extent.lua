#!lua flags=no-writes
-- How far a stream reaches.
-- KEYS: 1 the stream
-- ARGV: none
-- Returns: {number of entries; first id, or empty; last id ever given, or empty}
-- include: fields.lua
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then return {0, '', ''} end
local stream = fields(info)
return {stream['length'], stream['first-entry'] and stream['first-entry'][1] or '', stream['last-generated-id']}
