--[[
Writes one change of one node, all or nothing: the record or the tombstone, the log's entry, the heartbeat
and the next look at it.

KEYS  1 epoch  2 node  3 beat  4 gone  5 deadlines  6 events
ARGV  1 the attached epoch
      2 node id
      3 the version that must be stored (0: nothing may be)
      4 the version after the change
      5 changeId
      6 '1' where the node is removed
      7 '1' where only a silent node may be changed
      8 heartbeat: 'keep' | 'set' | 'clear'
      9 the node's timeout, ms
     10 next look: 'keep' | 'never' | ms from now
     11 session  12 sessionSeq  13 status  14 instanceId  15 record (JSON)  16 event (JSON)
     17 about how many entries the log keeps
     18 how long a tombstone stays, ms
     19 the doorbell's channel  20 the shard's number
Returns 'done' | 'conflict' | 'still-beating' | 'epoch' (the data set is another one).
]]
local epoch_key, node_key, beat_key, gone_key, deadlines_key, events_key = unpack(KEYS)
local id, expected, version, change_id = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local removed, only_if_silent = ARGV[6] == '1', ARGV[7] == '1'
local heartbeat, timeout, look = ARGV[8], ARGV[9], ARGV[10]

if redis.call('GET', epoch_key) ~= ARGV[1] then
  return 'epoch'
end
local stored = redis.call('HMGET', node_key, 'version', 'changeId')
if stored[2] == change_id then
  return 'done'
end
if (stored[1] or redis.call('GET', gone_key) or '0') ~= expected then
  return 'conflict'
end
if only_if_silent and redis.call('EXISTS', beat_key) == 1 then
  return 'still-beating'
end

if removed then
  redis.call('DEL', node_key, beat_key)
  redis.call('ZREM', deadlines_key, id)
  redis.call('SET', gone_key, version, 'PX', ARGV[18])
else
  redis.call('HSET', node_key, 'version', version, 'session', ARGV[11], 'sessionSeq', ARGV[12],
    'status', ARGV[13], 'changeId', change_id, 'restored', '0', 'record', ARGV[15])
  if not stored[1] then
    redis.call('DEL', gone_key)
    -- The sorted set is also the list of all nodes: a new one must stand in it whatever its next look.
    redis.call('ZADD', deadlines_key, '+inf', id)
  end
  if heartbeat == 'clear' then
    redis.call('DEL', beat_key)
  elseif heartbeat == 'set' and redis.call('PEXPIRE', beat_key, timeout) == 0 then
    redis.call('SET', beat_key, '', 'PX', timeout)
  end
  if look == 'never' then
    redis.call('ZADD', deadlines_key, '+inf', id)
  elseif look ~= 'keep' then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call('ZADD', deadlines_key, now + look, id)
  end
end

redis.call('XADD', events_key, 'MAXLEN', '~', ARGV[17], '*', 'nodeId', id, 'event', ARGV[16],
  'session', ARGV[11], 'sessionSeq', ARGV[12], 'instanceId', ARGV[14], 'changeId', change_id)
-- A hint only: a user who may not publish must not lose the commit by it.
redis.pcall('PUBLISH', ARGV[19], ARGV[20])
return 'done'
