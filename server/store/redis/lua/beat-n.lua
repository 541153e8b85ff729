--[[
Refreshes the heartbeats of many nodes of one or several shards, and the last stats of those that sent some.

KEYS  the epoch of each shard
ARGV  for each key, in order:
        the attached epoch
        what the shard's keys begin with; node, beat and gone keys are made of it and the ids
        how many heartbeats follow
        then for each heartbeat: node id, session, how long it counts (ms), stats (JSON; '' for a ping)
Returns for each key: {'epoch'} where the data set is another one, else a list of what was not ordinary:
        {'returned', id}: taken, although the record calls the node unreachable or offline
        {'session', id, session, stored session, its sessionSeq, stored version}: refused
        {'tombstone', id, session, its version}: refused
        {'nothing', id, session}: refused
]]
local function refusal(prefix, id, session, stored_session)
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

local function beat(prefix, from, to)
  local answer = {}
  for at = from, to, 4 do
    local id, session, ttl, stats = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local node = redis.call('HMGET', prefix .. 'node:' .. id, 'session', 'status')
    if node[1] ~= session then
      answer[#answer + 1] = refusal(prefix, id, session, node[1])
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
end

local answers = {}
local at = 1
for shard = 1, #KEYS do
  local epoch, prefix, first = ARGV[at], ARGV[at + 1], at + 3
  at = first + 4 * tonumber(ARGV[at + 2])
  if redis.call('GET', KEYS[shard]) ~= epoch then
    answers[shard] = { 'epoch' }
  else
    answers[shard] = beat(prefix, first, at - 1)
  end
end
return answers
