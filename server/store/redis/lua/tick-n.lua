#!lua
--[[
Reads the news of one or more shards: log entries after a position, and silent nodes.

A log whose tail was lost (a failover, an old dump) and that was continued since passes every check of ids:
only the position's own entry, still present, proves that nothing is missing after it.

A script with this first line, without flags, is refused whenever Redis refuses writes (no memory, no disk, too few
replicas): while no heartbeats can be written, no node may be found silent.

KEYS  for each shard: epoch, deadlines, events, absent
ARGV  for each shard: the attached epoch
                      the position: the id of the last entry that the reader saw, '0-0' for the log's beginning
                      the most entries
                      overdue nodes to skip
                      overdue nodes to examine; 0: none
                      the prefix of the shard's keys; node and beat keys are derived from it and the ids
                      the prefix of the names of the reader's own changes; '': all come in full
Returns for each shard
        {'epoch'}: the data set is another one
        {'bad'}: a key of the shard has another type
        {'gap', 'trimmed' | 'lost'}: the entries after the position are no longer complete
        {'news', now (ms), overdue nodes examined, '1' if more are overdue, '1' if the log has more,
          when the next one is due (ms; '' if none was examined),
          entries as XRANGE gives them, those of the reader's own changes as {id, changeId}, silent nodes:
          {{due (ms), id, version, session, sessionSeq, changeId, record, timing}, ...}, '' for what is absent;
          ids of nodes whose key has another type}
]]
local call = redis.call
-- Nodes that are due within this time are examined together with those that are due: nodes that beat are postponed, so
-- that one tick a second serves all, and only heartbeats that really expire soon cause another.
local AHEAD_MS = 1000
-- The lifetime of a heartbeat without a TTL.
local LOST_TTL_MS = 60000

-- True if entries were ever removed from the log's beginning.
local function was_trimmed(events_key)
  local info, added, length = call('XINFO', 'STREAM', events_key), nil, nil
  for at = 1, #info, 2 do
    if info[at] == 'entries-added' then added = info[at + 1] end
    if info[at] == 'length' then length = info[at + 1] end
  end
  return added ~= length
end

local function is_before(id, other)
  local ms, n = string.match(id, '(%d+)-(%d+)')
  local other_ms, other_n = string.match(other, '(%d+)-(%d+)')
  ms, n, other_ms, other_n = tonumber(ms), tonumber(n), tonumber(other_ms), tonumber(other_n)
  return ms < other_ms or (ms == other_ms and n < other_n)
end

-- The reader has its own changes already: the name of a change is enough.
local function shorten(entries, mark)
  for at, entry in ipairs(entries) do
    local fields = entry[2]
    for place = 1, #fields, 2 do
      if fields[place] == 'changeId' and string.sub(fields[place + 1], 1, #mark) == mark then
        entries[at] = { entry[1], fields[place + 1] }
      end
    end
  end
end

local function shard(epoch_key, deadlines_key, events_key, epoch, after, limit, skip, most, prefix, mark)
  if call('GET', epoch_key) ~= epoch then
    return { 'epoch' }
  end

  limit, most = tonumber(limit), tonumber(most)
  local entries
  if after == '0-0' then
    entries = call('XRANGE', events_key, '-', '+', 'COUNT', limit)
    if #entries > 0 and was_trimmed(events_key) then
      return { 'gap', 'trimmed' }
    end
  else
    entries = call('XRANGE', events_key, after, '+', 'COUNT', limit + 1)
    if #entries == 0 or entries[1][1] ~= after then
      local first = call('XRANGE', events_key, '-', '+', 'COUNT', 1)[1]
      if first and is_before(after, first[1]) and was_trimmed(events_key) then
        return { 'gap', 'trimmed' }
      end
      return { 'gap', 'lost' }
    end
    table.remove(entries, 1)
  end
  local more_entries = #entries >= limit
  if mark ~= '' then shorten(entries, mark) end

  local time = call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local silent, bad, examined, more_due, next_due = {}, {}, 0, false, ''
  if most > 0 then
    local ahead = string.format('%.0f', now + AHEAD_MS)
    local due = call('ZRANGE', deadlines_key, '-inf', ahead, 'BYSCORE', 'LIMIT', skip, most, 'WITHSCORES')
    local soonest = math.huge
    for at = 1, #due, 2 do
      local id, due_at = due[at], tonumber(due[at + 1])
      local left = call('PTTL', prefix .. 'beat:' .. id)
      if due_at <= now then examined = examined + 1 end
      -- Without a TTL it would count for ever: it gets one, and the next heartbeat sets the right one.
      if left == -1 then
        call('PEXPIRE', prefix .. 'beat:' .. id, LOST_TTL_MS)
        left = LOST_TTL_MS
      end
      if left ~= -2 then
        local ends = now + math.max(left, 0) + 1
        if ends ~= due_at then call('ZADD', deadlines_key, ends, id) end
        soonest = math.min(soonest, ends)
      elseif due_at > now then
        soonest = math.min(soonest, due_at)
      else
        local node_key = prefix .. 'node:' .. id
        local node = redis.pcall('HMGET', node_key, 'version', 'session', 'sessionSeq', 'changeId', 'record', 'timing')
        if node.err then
          bad[#bad + 1] = id
        elseif node[1] or node[2] or node[5] then
          silent[#silent + 1] = { due[at + 1], id, node[1] or '', node[2] or '', node[3] or '', node[4] or '',
            node[5] or '', node[6] or '' }
        else
          call('ZREM', deadlines_key, id)
        end
      end
    end
    more_due = examined >= most
    local beyond = due[#due]
    if #due < 2 * most then
      beyond = call('ZRANGE', deadlines_key, '(' .. ahead, '(+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
    end
    soonest = math.min(soonest, tonumber(beyond) or math.huge)
    if soonest < math.huge then next_due = string.format('%.0f', soonest) end
  end
  return {
    'news', string.format('%.0f', now), tostring(examined), more_due and '1' or '0', more_entries and '1' or '0',
    next_due, entries, silent, bad,
  }
end

local answers = {}
for n = 0, #KEYS / 4 - 1 do
  local k, a = 4 * n, 7 * n
  local ran, answer = pcall(shard, KEYS[k + 1], KEYS[k + 2], KEYS[k + 3],
    ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5], ARGV[a + 6], ARGV[a + 7])
  if not ran then
    -- The other shards continue. Any error but a key of another type concerns the whole server.
    local why = type(answer) == 'table' and answer.err or tostring(answer)
    if not string.find(why, 'WRONGTYPE', 1, true) then error(answer) end
    answer = { 'bad' }
  end
  answers[n + 1] = answer
end
return answers
