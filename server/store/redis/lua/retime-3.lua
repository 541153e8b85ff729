--[[
Gives live sessions another timing, each all or nothing. Neither a new version nor an event: the record stays,
and the field `timing` overrides the timing in it for as long as this is the node's session.

KEYS  1 epoch  2 deadlines  3 absent
ARGV  1 the attached epoch
      2 the prefix of the shard's keys; node and beat keys are derived from it and the ids
      then for each: node id, session, interval (ms), timeout (ms),
                     the remaining time of the present heartbeat (ms; '0': unchanged)
Returns {'epoch'} if the data set is another one, else {'done', ids of nodes with another session, or none}.
]]
local deadlines_key, prefix = KEYS[2], ARGV[2]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'epoch' }
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- A heartbeat that now expires sooner must be examined sooner. Offline nodes have +inf and are not examined.
local function examine_by(id, at)
  local due = redis.call('ZSCORE', deadlines_key, id)
  if due and due ~= 'inf' and tonumber(due) > at then
    redis.call('ZADD', deadlines_key, at, id)
  end
end

local answer = { 'done' }
for at = 3, #ARGV, 5 do
  local id, session, interval, timeout, ttl = unpack(ARGV, at, at + 4)
  local node_key = prefix .. 'node:' .. id
  -- A key of another type replies with an error, which is no session either.
  if redis.pcall('HGET', node_key, 'session') ~= session then
    answer[#answer + 1] = id
  else
    redis.call('HSET', node_key, 'timing', session .. ' ' .. interval .. ' ' .. timeout)
    if ttl ~= '0' and redis.call('PEXPIRE', prefix .. 'beat:' .. id, ttl) == 1 then
      examine_by(id, now + ttl)
    end
  end
end
return answer
