#!lua
-- Makes the first key of a deployment, unless there was one: then whatever became of that, there is no other first one.
-- KEYS: 1 the key; 2 list of the operators' keys; 3 their audit trail; 4 when they were used; 5 which key
--       is the first
-- ARGV: see new_key
-- Returns: 'made', also when this had been done before; 'full'; else the id of the first key
-- include: riptide.api.access new_key.lua
local first = redis.call('GET', KEYS[5])
if first and first ~= ARGV[1] then return first end
local time = redis.call('TIME')
local answer = new_key(time[1] * 1000 + math.floor(time[2] / 1000), '')
if answer == 'made' then redis.call('SET', KEYS[5], ARGV[1]) end
return answer
