--[[
Writes changes of nodes of one or more shards, those of a shard in their order, each of them all or nothing: the
record or the tombstone, the log's entry, the heartbeat and the next look at it.

KEYS  for each shard: epoch, deadlines, events, absent
ARGV  1 about how many entries a shard's log keeps
      2 how long a tombstone stays, ms
      3 the doorbell's channel
      then for each shard:
        0 the attached epoch
        1 what the shard's keys begin with; node, beat and gone keys are made of it and the ids
        2 the shard's number
        3 how many changes follow
      and for each of its changes:
        0 node id
        1 the version that must be stored (0: nothing may be)  2 the version after the change
        3 changeId
        4 '1' where the node is removed  5 '1' where only a silent node may be changed
        6 heartbeat: 'keep' | 'set' | 'clear'  7 the node's timeout, ms
        8 next look: 'keep' | 'never' | ms from now
        9 session  10 sessionSeq  11 status  12 instanceId
        13 the event's JSON up to its node  14 the JSON of the event's node, which is the record's where it stays
Returns for each change 'done' | 'conflict' | 'still-beating' | 'epoch' (the shard's data set is another one),
        or why Redis refused it.
The doorbell tells the numbers of the shards that were written, with commas between.
]]
local call = redis.call
local log_entries, tombstone_ms = ARGV[1], ARGV[2]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function commit(at, prefix, deadlines_key, events_key)
  local id, expected, version, change_id = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local heartbeat, look = ARGV[at + 6], ARGV[at + 8]
  local session, session_seq, instance_id = ARGV[at + 9], ARGV[at + 10], ARGV[at + 12]
  local node_json = ARGV[at + 14]
  local node_key, beat_key, gone_key = prefix .. 'node:' .. id, prefix .. 'beat:' .. id, prefix .. 'gone:' .. id

  local stored = call('HMGET', node_key, 'version', 'changeId')
  if stored[2] == change_id then
    return 'done'
  end
  if (stored[1] or call('GET', gone_key) or '0') ~= expected then
    return 'conflict'
  end
  if ARGV[at + 5] == '1' and call('EXISTS', beat_key) == 1 then
    return 'still-beating'
  end

  if ARGV[at + 4] == '1' then
    call('DEL', node_key, beat_key)
    call('ZREM', deadlines_key, id)
    call('SET', gone_key, version, 'PX', tombstone_ms)
  else
    -- The record is the node and who registered it, in one object.
    local record = string.sub(node_json, 1, -2) .. ',"instanceId":' .. cjson.encode(instance_id) .. '}'
    call('HSET', node_key, 'version', version, 'session', session, 'sessionSeq', session_seq,
      'status', ARGV[at + 11], 'changeId', change_id, 'restored', '0', 'record', record)
    if not stored[1] then
      call('DEL', gone_key)
    end
    if heartbeat == 'clear' then
      call('DEL', beat_key)
    elseif heartbeat == 'set' and call('PEXPIRE', beat_key, ARGV[at + 7]) == 0 then
      call('SET', beat_key, '', 'PX', ARGV[at + 7])
    end
    -- The sorted set is also the list of all nodes: a new one must stand in it whatever its next look.
    if look == 'never' or (look == 'keep' and not stored[1]) then
      call('ZADD', deadlines_key, '+inf', id)
    elseif look ~= 'keep' then
      call('ZADD', deadlines_key, now + look, id)
    end
  end

  call('XADD', events_key, '*', 'nodeId', id, 'event', ARGV[at + 13] .. node_json .. '}',
    'session', session, 'sessionSeq', session_seq, 'instanceId', instance_id, 'changeId', change_id)
  return 'done'
end

local outcomes, rung = {}, {}
local at = 4
for k = 1, #KEYS, 4 do
  local prefix, deadlines_key, events_key = ARGV[at + 1], KEYS[k + 1], KEYS[k + 2]
  local is_attached, number = call('GET', KEYS[k]) == ARGV[at], ARGV[at + 2]
  local first, beyond = at + 4, at + 4 + 15 * ARGV[at + 3]
  local written = false
  for change = first, beyond - 1, 15 do
    local outcome = 'epoch'
    if is_attached then
      local ran
      ran, outcome = pcall(commit, change, prefix, deadlines_key, events_key)
      if not ran then
        -- A key of another type at one node must not keep the others from being written. Anything else is no
        -- matter of one node, such as a server that became a replica.
        local why = type(outcome) == 'table' and outcome.err or tostring(outcome)
        if not string.find(why, 'WRONGTYPE', 1, true) then error(outcome) end
        outcome = why
      end
      written = written or outcome == 'done'
    end
    outcomes[#outcomes + 1] = outcome
  end
  if written then
    call('XTRIM', events_key, 'MAXLEN', '~', log_entries)
    rung[#rung + 1] = number
  end
  at = beyond
end
if #rung > 0 then
  -- A hint only: a user who may not publish must not lose the changes by it.
  redis.pcall('PUBLISH', ARGV[3], table.concat(rung, ','))
end
return outcomes
