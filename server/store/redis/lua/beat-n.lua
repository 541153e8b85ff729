--[[
Refreshes the heartbeats of many nodes of one or more shards, and the last stats of those that sent some.

A vouched heartbeat is one whose hub saw this session speak for the node, and has followed the shard's log since.
It costs one command: only where the log went on after the hub's position, or where there is no heartbeat to
refresh, is there more to look at, and the hub is told to send that one to be checked.

KEYS  for each shard: epoch, events
ARGV  for each shard: the attached epoch
                      the position up to which the hub followed the log ('' where nothing is vouched)
                      what the shard's keys begin with; node, beat and gone keys are made of it and the ids
                      how many vouched pings, vouched stats and checked heartbeats follow
                      vouched pings: node id, how long it counts (ms)
                      vouched stats: node id, how long it counts (ms), stats (JSON)
                      checked: node id, session, how long it counts (ms), stats (JSON; '' for a ping)
Returns for each shard {'epoch'} where the data set is another one, else a list of what was not ordinary:
        {'check', id}: vouched, but not to be taken without a look; nothing was done
        {'returned', id}: taken, although the record calls the node unreachable or offline
        {'session', id, session, stored session, its sessionSeq, stored version}: refused
        {'tombstone', id, session, its version}: refused
        {'nothing', id, session}: refused
]]
local call = redis.call
-- More news than this and each heartbeat is looked at: reading the news would cost more.
local MOST_NEWS = 20

-- The nodes that the log speaks of after a position; nothing where that cannot be told.
local function changed_since(events_key, position)
  if position == '' then
    return nil
  end
  local entries = call('XRANGE', events_key, position, '+', 'COUNT', MOST_NEWS + 1)
  if #entries > MOST_NEWS or #entries == 0 or entries[1][1] ~= position then
    return nil
  end
  local changed = {}
  for n = 2, #entries do
    changed[entries[n][2][2]] = true
  end
  return changed
end

local function refusal(prefix, id, session, stored_session)
  if stored_session then
    local seqs = call('HMGET', prefix .. 'node:' .. id, 'sessionSeq', 'version')
    return { 'session', id, session, stored_session, seqs[1], seqs[2] }
  end
  local version = call('GET', prefix .. 'gone:' .. id)
  if version then
    return { 'tombstone', id, session, version }
  end
  return { 'nothing', id, session }
end

local at = 1
local function shard(epoch_key, events_key)
  local epoch, position, prefix = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local pings, stats = at + 6, at + 6 + 2 * ARGV[at + 3]
  local checked = stats + 3 * ARGV[at + 4]
  local beyond = checked + 4 * ARGV[at + 5]
  at = beyond
  if call('GET', epoch_key) ~= epoch then
    return { 'epoch' }
  end

  local answer = {}
  local beat_prefix = prefix .. 'beat:'
  local changed = pings < checked and changed_since(events_key, position)
  for n = pings, stats - 1, 2 do
    local id = ARGV[n]
    if not changed or changed[id] or call('PEXPIRE', beat_prefix .. id, ARGV[n + 1]) == 0 then
      answer[#answer + 1] = { 'check', id }
    end
  end
  for n = stats, checked - 1, 3 do
    local id = ARGV[n]
    if not changed or changed[id] or not call('SET', beat_prefix .. id, ARGV[n + 2], 'PX', ARGV[n + 1], 'XX') then
      answer[#answer + 1] = { 'check', id }
    end
  end
  for n = checked, beyond - 1, 4 do
    local id, session, ttl, stat = ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3]
    local node = call('HMGET', prefix .. 'node:' .. id, 'session', 'status')
    if node[1] ~= session then
      answer[#answer + 1] = refusal(prefix, id, session, node[1])
    else
      local beat_key = beat_prefix .. id
      if stat ~= '' or call('PEXPIRE', beat_key, ttl) == 0 then
        call('SET', beat_key, stat, 'PX', ttl)
      end
      if node[2] == 'unreachable' or node[2] == 'offline' then
        answer[#answer + 1] = { 'returned', id }
      end
    end
  end
  return answer
end

local answers = {}
for k = 1, #KEYS, 2 do
  answers[#answers + 1] = shard(KEYS[k], KEYS[k + 1])
end
return answers
