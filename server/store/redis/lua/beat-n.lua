--[[
Refreshes the heartbeats of many nodes of one or more shards, and the last stats of those that sent some.

A confirmed heartbeat is one whose hub saw the store or the log confirm this session, and has followed the shard's log
since. It costs one command: only if the log continued after the hub's position, or if there is no heartbeat to
refresh, does it need a comparison, and the reply asks the hub to send it again for that.

KEYS  for each shard: epoch, events, absent
ARGV  for each shard: the attached epoch
                      the position up to which the hub followed the log ('' if nothing is confirmed)
                      the prefix of the shard's keys; node, beat and gone keys are derived from it and the ids
                      the numbers of confirmed pings, confirmed stats and compared heartbeats that follow
                      confirmed pings: node id, lifetime (ms)
                      confirmed stats: node id, lifetime (ms), stats (JSON)
                      compared: node id, session, lifetime (ms), stats (JSON; '' for a ping)
Returns for each shard {'epoch'} if the data set is another one, else a list of exceptions:
        {'check', id}: confirmed, but in need of a comparison; nothing was done
        {'returned', id}: taken, although the record's status is unreachable or offline
        {'session', id, session, stored session, its sessionSeq, stored version}: refused
        {'tombstone', id, session, its version}: refused
        {'nothing', id, session}: refused
        {'bad', id}: not taken, because its node is a key of another type
]]
local call = redis.call
-- With more log entries than this each heartbeat is compared: reading the entries would cost more.
local MOST_NEWS = 20

local function refusal(prefix, id, session, stored_session)
  if stored_session then
    local seqs = call('HMGET', prefix .. 'node:' .. id, 'sessionSeq', 'version')
    return { 'session', id, session, stored_session, seqs[1] or '', seqs[2] or '' }
  end
  local version = redis.pcall('GET', prefix .. 'gone:' .. id)
  if type(version) == 'table' then return { 'bad', id } end
  if version then
    return { 'tombstone', id, session, version }
  end
  return { 'nothing', id, session }
end

local function shard(share, entries)
  local prefix, pings, stats, checked = share.prefix, share.pings, share.stats, share.checked
  local beat_prefix = prefix .. 'beat:'
  local answer = {}

  -- A node with a newer entry in the log needs a comparison; with many entries every node does.
  local confirmed, changed = share.position ~= '' and #entries <= MOST_NEWS, {}
  for n = 1, #entries do
    changed[entries[n][2][2]] = true
  end
  for n = pings, stats - 1, 2 do
    local id = ARGV[n]
    if not confirmed or changed[id] or call('PEXPIRE', beat_prefix .. id, ARGV[n + 1]) == 0 then
      answer[#answer + 1] = { 'check', id }
    end
  end
  for n = stats, checked - 1, 3 do
    local id = ARGV[n]
    if not confirmed or changed[id] or not call('SET', beat_prefix .. id, ARGV[n + 2], 'PX', ARGV[n + 1], 'XX') then
      answer[#answer + 1] = { 'check', id }
    end
  end
  for n = checked, share.beyond - 1, 4 do
    local id, session, ttl, stat = ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3]
    local node = redis.pcall('HMGET', prefix .. 'node:' .. id, 'session', 'status')
    if node.err then
      answer[#answer + 1] = { 'bad', id }
    elseif node[1] ~= session then
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

local shares, epoch_keys, logs, positions = {}, {}, {}, {}
local at = 1
for k = 1, #KEYS, 3 do
  local pings, stats = at + 6, at + 6 + 2 * ARGV[at + 3]
  local checked = stats + 3 * ARGV[at + 4]
  local share = {
    epoch = ARGV[at], position = ARGV[at + 1], prefix = ARGV[at + 2], events = KEYS[k + 1],
    pings = pings, stats = stats, checked = checked, beyond = checked + 4 * ARGV[at + 5],
  }
  shares[#shares + 1] = share
  epoch_keys[#epoch_keys + 1] = KEYS[k]
  if pings < checked and share.position ~= '' then
    logs[#logs + 1] = share.events
    positions[#positions + 1] = share.position
  end
  at = share.beyond
end

-- Log entries after the positions. Ticks check that the position's own entry is still present.
local news = {}
if #logs > 0 then
  local words = { 'COUNT', MOST_NEWS + 1, 'STREAMS', unpack(logs) }
  for n = 1, #positions do words[#words + 1] = positions[n] end
  local read = redis.pcall('XREAD', unpack(words)) or {}
  for _, log in ipairs(read) do
    news[log[1]] = log[2]
  end
  -- A log of another type: nothing is confirmed, and the tick of its shard puts it aside.
  if read.err then
    for _, share in ipairs(shares) do share.position = '' end
  end
end

local epochs = call('MGET', unpack(epoch_keys))
local answers = {}
for n, share in ipairs(shares) do
  answers[n] = epochs[n] == share.epoch and shard(share, news[share.events] or {}) or { 'epoch' }
end
return answers
