#!lua
-- Reserves an id for a tenant that is about to be created, if the id is free and there is room for it.
-- KEYS: 1 index of tenants; 2 reservations: id -> incarnation, when, by whom
-- ARGV: 1 id; 2 incarnation; 3 by whom; 4 how many tenants there may be; 5 ms after which a reservation is stale
-- Returns: {'reserved' | 'exists' | 'creating', now}; or {'stale', now, what stood there} when a stale reservation
--          was taken over; or {'full', now, tenants, id, reservation, ... of stale ones}, a hundred at most
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stamp = string.format('%.0f', now)
local mine = ARGV[2] .. ' ' .. stamp .. ' ' .. ARGV[3]

local function stale(reservation)
  return now - tonumber(string.match(reservation, '^%x+ (%d+)')) >= tonumber(ARGV[5])
end

local held = redis.call('HGET', KEYS[2], ARGV[1])
if held then
  local own = string.match(held, '^%x+') == ARGV[2]
  if not own and not stale(held) then return {'creating', stamp} end
  redis.call('HSET', KEYS[2], ARGV[1], mine)
  return own and {'reserved', stamp} or {'stale', stamp, held}
end
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {'exists', stamp} end
local tenants = redis.call('ZCARD', KEYS[1])
if tenants >= tonumber(ARGV[4]) then
  local answer = {'full', stamp, tenants}
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    if #answer < 200 and stale(all[i + 1]) then
      answer[#answer + 1] = all[i]
      answer[#answer + 1] = all[i + 1]
    end
  end
  return answer
end
redis.call('ZADD', KEYS[1], 0, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], mine)
return {'reserved', stamp}
