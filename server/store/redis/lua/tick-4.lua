--[[
One look at a shard: what was logged after a position, and which nodes fell silent.

A log whose tail was lost (a failover, an old dump) and that was written on since passes every check of ids:
only the position's own entry, still standing there, shows that nothing is missing after it.

KEYS  1 epoch  2 deadlines  3 events  4 absent
ARGV  1 the attached epoch
      2 the position: the id of the last entry that the reader saw, '0-0' for the log's beginning
      3 at most so many entries
      4 overdue nodes to skip
      5 overdue nodes to look at; 0: none
      6 what the shard's keys begin with; node and beat keys are made of it and the ids
Returns {'epoch'}: the data set is another one
        {'gap', 'trimmed' | 'lost'}: what came after the position cannot be told
        {'news', now (ms), nodes looked at, entries as XRANGE gives them,
          silent nodes: {{due (ms), session, sessionSeq, changeId, record}, ...}}
]]
local deadlines_key, events_key = KEYS[2], KEYS[3]
local after, limit, skip, look, prefix = ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), ARGV[6]

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'epoch' }
end

-- True where entries were ever taken off the log's beginning.
local function was_trimmed()
  local info, added, length = redis.call('XINFO', 'STREAM', events_key), nil, nil
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

local entries
if after == '0-0' then
  entries = redis.call('XRANGE', events_key, '-', '+', 'COUNT', limit)
  if #entries > 0 and was_trimmed() then
    return { 'gap', 'trimmed' }
  end
else
  entries = redis.call('XRANGE', events_key, after, '+', 'COUNT', limit + 1)
  if #entries == 0 or entries[1][1] ~= after then
    local first = redis.call('XRANGE', events_key, '-', '+', 'COUNT', 1)[1]
    if first and is_before(after, first[1]) and was_trimmed() then
      return { 'gap', 'trimmed' }
    end
    return { 'gap', 'lost' }
  end
  table.remove(entries, 1)
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local silent, looked = {}, 0
if look > 0 then
  local due = redis.call('ZRANGE', deadlines_key, '-inf', now, 'BYSCORE', 'LIMIT', skip, look, 'WITHSCORES')
  looked = #due / 2
  for at = 1, #due, 2 do
    local id = due[at]
    local left = redis.call('PTTL', prefix .. 'beat:' .. id)
    if left ~= -2 then
      redis.call('ZADD', deadlines_key, now + math.max(left, 0) + 1, id)
    else
      local node = redis.call('HMGET', prefix .. 'node:' .. id, 'session', 'sessionSeq', 'changeId', 'record')
      if node[1] then
        silent[#silent + 1] = { due[at + 1], node[1], node[2], node[3], node[4] }
      else
        redis.call('ZREM', deadlines_key, id)
      end
    end
  end
end
return { 'news', string.format('%.0f', now), tostring(looked), entries, silent }
