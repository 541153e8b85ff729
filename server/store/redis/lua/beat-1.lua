--[[
Refreshes the heartbeats of many nodes of one shard, and the last stats of those that sent some.

KEYS  1 epoch
ARGV  1 the attached epoch
      2 what the shard's keys begin with; node, beat and gone keys are made of it and the ids
      then for each heartbeat: node id, session, how long it counts (ms), stats (JSON; '' for a ping)
Returns {'epoch'} where the data set is another one, else a list of what was not ordinary:
        {'returned', id}: taken, although the record calls the node unreachable or offline
        {'session', id, session, stored session, its sessionSeq, stored version}: refused
        {'tombstone', id, session, its version}: refused
        {'nothing', id, session}: refused
]]
local prefix = ARGV[2]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'epoch' }
end

local function refusal(id, session, stored_session)
  if stored_session then
    local seqs = redis.call('HMGET', prefix .. 'node:' .. id, 'sessionSeq', 'version')
    return { 'session', id, session, stored_session, seqs[1], seqs[2] }
  end
  local version = redis.call('GET', prefix .. 'gone:' .. id)
  if version then
    return { 'tombstone', id, session, version }
  end
  return { 'nothing', id, session }
end

local answer = {}
for at = 3, #ARGV, 4 do
  local id, session, ttl, stats = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local node = redis.call('HMGET', prefix .. 'node:' .. id, 'session', 'status')
  if node[1] ~= session then
    answer[#answer + 1] = refusal(id, session, node[1])
  else
    local beat_key = prefix .. 'beat:' .. id
    if stats ~= '' or redis.call('PEXPIRE', beat_key, ttl) == 0 then
      redis.call('SET', beat_key, stats, 'PX', ttl)
    end
    if node[2] == 'unreachable' or node[2] == 'offline' then
      answer[#answer + 1] = { 'returned', id }
    end
  end
end
return answer
