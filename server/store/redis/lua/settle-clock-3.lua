--[[
The clock of this server was set, or a server whose clock differs took over. TTLs and deadlines are times of that
clock: this corrects those of some nodes, each to its remaining time, and never to more than the node's timeout.
Values that another hub corrected, or wrote since, do not change. To be called until the cursor comes back as 0.

KEYS  1 epoch  2 deadlines  3 absent
ARGV  1 the attached epoch
      2 the prefix of the shard's keys; node and beat keys are derived from it and the ids
      3 the cursor; '0': from the beginning  4 the number of nodes, roughly
      5 the least step of the clock, ms; negative: back; 0: unknown
      6 the default timeout, ms: of most nodes, and of those with an unreadable record
Returns {'epoch'}: the data set is another one
        {'next', the next cursor, '0' at the end}
]]
local call = redis.call
-- Deadlines that passed this recently do not change after a step forwards: another hub may have moved them already.
local LATELY_MS = 2000

local deadlines_key, prefix = KEYS[2], ARGV[2]
if call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'epoch' }
end
local stepped, default_timeout = tonumber(ARGV[5]), tonumber(ARGV[6])
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function timeout_of(id)
  local node = redis.pcall('HMGET', prefix .. 'node:' .. id, 'session', 'timing', 'record')
  if node.err then
    return default_timeout
  end
  local session, timeout = string.match(node[2] or '', '^(%S+) %d+ (%d+)$')
  if session and session == node[1] then
    return tonumber(timeout)
  end
  local read, record = pcall(cjson.decode, node[3] or '')
  local heartbeat = read and type(record) == 'table' and record.heartbeat
  return type(heartbeat) == 'table' and tonumber(heartbeat.timeoutMs) or default_timeout
end

local page = call('ZSCAN', deadlines_key, ARGV[3], 'COUNT', ARGV[4])
for at = 1, #page[2], 2 do
  local id, due = page[2][at], tonumber(page[2][at + 1]) or math.huge
  local beat_key = prefix .. 'beat:' .. id
  local left = call('PTTL', beat_key)
  local waits = due < math.huge
  if left > default_timeout or (waits and due > now + default_timeout) then
    local timeout = timeout_of(id)
    if left > timeout then
      left = math.max(1, math.min(timeout, left + math.min(0, stepped)))
      call('PEXPIRE', beat_key, string.format('%.0f', left))
    end
    if waits and due > now + timeout then
      local ends = left >= 0 and now + left + 1 or math.min(now + timeout, due + math.min(0, stepped))
      call('ZADD', deadlines_key, string.format('%.0f', ends), id)
    end
  elseif stepped > 0 and waits and left == -2 and due < now - LATELY_MS then
    local ends = math.min(due + stepped, now + timeout_of(id))
    call('ZADD', deadlines_key, string.format('%.0f', ends), id)
  end
end
return { 'next', page[1] }
