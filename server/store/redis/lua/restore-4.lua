--[[
Restores nodes and tombstones that the shard may have lost. A stored record is not replaced if it is not itself a
restored one, or is of another session and no older version: then the two must be merged, and the stored one is
returned.

KEYS  1 epoch  2 deadlines  3 events  4 absent
ARGV  1 the attached epoch
      2 the prefix of the shard's keys; node and gone keys are derived from it and the ids
      3 entries that the log keeps, roughly
      4 the bell's channel  5 the shard's number
      then for each: 'node', id, version, changeId, session, sessionSeq, instanceId, status,
                       ms until its deadline ('never' for an offline node), record (JSON), event (JSON)
                  or 'gone', id, version, the tombstone's remaining time (ms)
Returns {'epoch'} if the data set is another one, else those to be merged, as
        {place in the list (from 0), version, session, sessionSeq, changeId, restored ('1' or '0'), record, timing}, ''
         for what is absent; or {place, 'bad'} if a key of it has another type, or no version
]]
local deadlines_key, events_key, prefix = KEYS[2], KEYS[3], ARGV[2]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'epoch' }
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local written = false

local function stored_node(key)
  return redis.call('HMGET', key, 'version', 'session', 'sessionSeq', 'changeId', 'restored', 'record', 'timing')
end

local function set_deadline(id, after)
  redis.call('ZADD', deadlines_key, after == 'never' and '+inf' or now + after, id)
end

-- The tombstone is no removal: a broken record of this version was put aside.
local function was_put_aside(id, version, gone)
  return gone == version and redis.call('ZSCORE', prefix .. 'quarantine', 'node:' .. id)
end

-- True if the node must be merged.
local function restore_node(at)
  local id, version, change_id = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local key, gone_key = prefix .. 'node:' .. id, prefix .. 'gone:' .. id
  local stored = redis.call('HMGET', key, 'version', 'changeId', 'restored', 'session')
  if stored[1] then
    -- The sorted set is also the list of all nodes, and may be lost itself: a hub that read it needs this event.
    local is_listed = redis.call('ZSCORE', deadlines_key, id)
    if stored[2] == change_id then
      if is_listed then return false end
    else
      if stored[3] ~= '1' then return true end
      -- Versions of two registrations may belong to two data sets, and are not comparable.
      if tonumber(stored[1]) >= tonumber(version) then return stored[4] ~= ARGV[at + 4] end
    end
  else
    local gone = redis.call('GET', gone_key)
    if gone and tonumber(gone) >= tonumber(version) and not was_put_aside(id, version, gone) then return false end
  end
  redis.call('HSET', key, 'version', version, 'session', ARGV[at + 4], 'sessionSeq', ARGV[at + 5],
    'status', ARGV[at + 7], 'changeId', change_id, 'restored', '1', 'record', ARGV[at + 9])
  redis.call('DEL', gone_key)
  set_deadline(id, ARGV[at + 8])
  redis.call('XADD', events_key, 'MAXLEN', '~', ARGV[3], '*', 'nodeId', id, 'event', ARGV[at + 10],
    'session', ARGV[at + 4], 'sessionSeq', ARGV[at + 5], 'instanceId', ARGV[at + 6], 'changeId', change_id)
  written = true
  return false
end

-- True if the store has a node that the tombstone removed.
local function restore_tombstone(at)
  local id, version = ARGV[at + 1], ARGV[at + 2]
  local gone_key = prefix .. 'gone:' .. id
  local stored = redis.call('HGET', prefix .. 'node:' .. id, 'version')
  if stored then return tonumber(stored) <= tonumber(version) end
  local gone = redis.call('GET', gone_key)
  if not gone or tonumber(gone) < tonumber(version) then
    redis.call('SET', gone_key, version, 'PX', ARGV[at + 3])
  end
  return false
end

local unmerged, place, at = {}, 0, 6
while at <= #ARGV do
  local is_node = ARGV[at] == 'node'
  local ran, must_merge = pcall(is_node and restore_node or restore_tombstone, at)
  if not ran then
    local why = type(must_merge) == 'table' and must_merge.err or tostring(must_merge)
    local bad = string.find(why, 'WRONGTYPE', 1, true) or string.find(why, 'nil', 1, true)
    if not bad then error(must_merge) end
    unmerged[#unmerged + 1] = { tostring(place), 'bad' }
  elseif must_merge then
    local stored = stored_node(prefix .. 'node:' .. ARGV[at + 1])
    unmerged[#unmerged + 1] =
      { tostring(place), stored[1] or '', stored[2] or '', stored[3] or '', stored[4] or '', stored[5] or '',
        stored[6] or '', stored[7] or '' }
  end
  at = at + (is_node and 11 or 4)
  place = place + 1
end
if written then
  redis.pcall('PUBLISH', ARGV[4], ARGV[5])
end
return unmerged
