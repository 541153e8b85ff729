--[[
Writes changes of nodes of one shard, in order, each one all or nothing: the record or the tombstone, the log's
entry, the heartbeat and its deadline.

KEYS  1 epoch  2 deadlines  3 events  4 absent
ARGV  1 the attached epoch
      2 the prefix of the shard's keys; node, beat and gone keys are derived from it and the ids
      3 entries that the log keeps, roughly
      4 lifetime of a tombstone, ms
      5 the bell's channel  6 the shard's number
      then for each change:
        0 node id
        1 the expected version (0: nothing is stored)  2 the version after the change
        3 changeId
        4 '1': the node is removed  5 '1': only if the node is silent
        6 heartbeat: 'keep' | 'set' | 'clear'  7 its lifetime for 'set', ms
        8 deadline: 'keep' | 'never' | ms from now
        9 session  10 sessionSeq  11 status  12 instanceId
        13 the event's JSON without its node  14 the JSON of the event's node, which is the record's too unless it is removed
Returns 'epoch' (the data set is another one), else for each change 'done' | 'conflict' | 'still-beating',
        or why Redis refused it.
]]
local deadlines_key, events_key, prefix = KEYS[2], KEYS[3], ARGV[2]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'epoch'
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function commit(at)
  local id, expected, version, change_id = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local heartbeat, deadline = ARGV[at + 6], ARGV[at + 8]
  local session, session_seq, instance_id = ARGV[at + 9], ARGV[at + 10], ARGV[at + 12]
  local node_json = ARGV[at + 14]
  local node_key, beat_key, gone_key = prefix .. 'node:' .. id, prefix .. 'beat:' .. id, prefix .. 'gone:' .. id

  local stored = redis.call('HMGET', node_key, 'version', 'changeId')
  if stored[2] == change_id then
    return 'done'
  end
  if (stored[1] or redis.call('GET', gone_key) or '0') ~= expected then
    return 'conflict'
  end
  if ARGV[at + 5] == '1' and redis.call('EXISTS', beat_key) == 1 then
    return 'still-beating'
  end

  if ARGV[at + 4] == '1' then
    redis.call('DEL', node_key, beat_key)
    redis.call('ZREM', deadlines_key, id)
    redis.call('SET', gone_key, version, 'PX', ARGV[4])
  else
    -- The record is the node and its agent's instance, in one object.
    local record = string.sub(node_json, 1, -2) .. ',"instanceId":' .. cjson.encode(instance_id) .. '}'
    redis.call('HSET', node_key, 'version', version, 'session', session, 'sessionSeq', session_seq,
      'status', ARGV[at + 11], 'changeId', change_id, 'restored', '0', 'record', record)
    if not stored[1] then
      redis.call('DEL', gone_key)
    end
    if heartbeat == 'clear' then
      redis.call('DEL', beat_key)
    elseif heartbeat == 'set' and redis.call('PEXPIRE', beat_key, ARGV[at + 7]) == 0 then
      redis.call('SET', beat_key, '', 'PX', ARGV[at + 7])
    end
    -- The sorted set is also the list of all nodes: a new one must be in it with any deadline.
    if deadline == 'never' or (deadline == 'keep' and not stored[1]) then
      redis.call('ZADD', deadlines_key, '+inf', id)
    elseif deadline ~= 'keep' then
      redis.call('ZADD', deadlines_key, now + deadline, id)
    end
  end

  local event = string.sub(ARGV[at + 13], 1, -2) .. ',"node":' .. node_json .. '}'
  redis.call('XADD', events_key, '*', 'nodeId', id, 'event', event,
    'session', session, 'sessionSeq', session_seq, 'instanceId', instance_id, 'changeId', change_id)
  return 'done'
end

local outcomes, written = {}, false
for at = 7, #ARGV, 15 do
  local ran, outcome = pcall(commit, at)
  if not ran then
    -- A key of another type at one node must not prevent the other writes. Any other error concerns the whole
    -- server, such as one that became a replica.
    local why = type(outcome) == 'table' and outcome.err or tostring(outcome)
    if not string.find(why, 'WRONGTYPE', 1, true) then error(outcome) end
    outcome = why
  end
  written = written or outcome == 'done'
  outcomes[#outcomes + 1] = outcome
end
if written then
  redis.call('XTRIM', events_key, 'MAXLEN', '~', ARGV[3])
  -- A hint only: without the permission to publish the changes must still be written.
  redis.pcall('PUBLISH', ARGV[5], ARGV[6])
end
return outcomes
