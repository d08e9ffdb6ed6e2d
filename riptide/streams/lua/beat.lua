#!lua flags=allow-oom
-- One heartbeat: says that a member lives, and tells it who does not and what must rest.
-- An observer that has not itself been beating for a full lease declares nobody dead: after an outage all look dead.
-- KEYS: 1 members by last beat; 2 since when each beats without a gap, and ~left: how many have left, ever;
--       3 what each says of itself; 4 paused types; 5 quiet processes;
--       6 the current configuration
-- ARGV: 1 member; 2 lease in ms; 3 what it says of itself (JSON); 4 its process
-- Returns: {1 if it was known without a gap, else 0; ms until the next member would be overdue; how many have left, ever;
--           the server's time (ms); 1 if its process is quiet, else 0; {paused types}; id of the current
--           configuration, or empty; then of each of the dead, oldest first: its name, and what it said of itself (JSON, or empty)}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[2])
local last = redis.call('ZSCORE', KEYS[1], ARGV[1])
local steady = last and now - tonumber(last) <= lease
if not steady then redis.call('HSET', KEYS[2], ARGV[1], now) end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
local reply = {
  steady and 1 or 0, lease, tonumber(redis.call('HGET', KEYS[2], '~left') or 0), now,
  redis.call('HEXISTS', KEYS[5], ARGV[4]), redis.call('HKEYS', KEYS[4]),
  redis.call('HGET', KEYS[6], 'id') or '',
}
local oldest = redis.call('ZRANGE', KEYS[1], '(' .. (now - lease), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
if oldest[2] then reply[2] = tonumber(oldest[2]) + lease - now end
if now - tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or now) >= lease then
  for _, dead in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now - lease, 'BYSCORE', 'LIMIT', 0, 100)) do
    reply[#reply + 1] = dead
    reply[#reply + 1] = redis.call('HGET', KEYS[3], dead) or ''
  end
end
return reply
