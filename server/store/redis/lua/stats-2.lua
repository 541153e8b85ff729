--[[
The last stats of some nodes of one shard, and the remaining time of their heartbeats.

KEYS  1 epoch  2 absent
ARGV  1 the attached epoch
      2 the prefix of the shard's keys; beat and node keys are derived from it and the ids
      then the ids
Returns {'epoch'} if the data set is another one, else
        {now (ms), then for each id: ms left ('-2' without a heartbeat), stats (JSON; '' without any),
         session, timing (each '' without any)}
]]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'epoch' }
end
local time = redis.call('TIME')
local answer = { string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)) }
for at = 3, #ARGV do
  local beat_key = ARGV[2] .. 'beat:' .. ARGV[at]
  answer[#answer + 1] = tostring(redis.call('PTTL', beat_key))
  local stats = redis.pcall('GET', beat_key)
  -- A key of another type counts as a heartbeat without stats: the next one with stats replaces it.
  answer[#answer + 1] = type(stats) == 'string' and stats or ''
  local node = redis.pcall('HMGET', ARGV[2] .. 'node:' .. ARGV[at], 'session', 'timing')
  answer[#answer + 1] = node[1] or ''
  answer[#answer + 1] = node[2] or ''
end
return answer
