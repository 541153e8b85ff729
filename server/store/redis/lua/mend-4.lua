--[[
Puts broken data aside, so that it blocks no hub. A key is moved to `quarantine:` and its name beside the shard's other
keys, up to a number of keys and for a limited time; beyond that number it is deleted.

A key of the shard itself (epoch, deadlines, events) that has another type: the whole data set counts as lost, so that
every hub restores what it knows. A node: its version stays as a tombstone, so that it does not begin anew; the bell
notifies every hub, and a hub that knows the node restores it.

KEYS  1 epoch  2 deadlines  3 events  4 absent
ARGV  1 the prefix of the shard's keys; all others are derived from it
      2 the most keys kept aside  3 their lifetime, ms
      4 the bell's channel  5 the shard's number
      then for each node that may be broken: id, the version and the changeId that were read ('' for none)
Returns the names of the keys that were put aside, without the prefix.
]]
local prefix, most, lasts = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local list_key = prefix .. 'quarantine'
local moved = {}

local function type_of(key)
  return redis.call('TYPE', key).ok
end

if type_of(list_key) ~= 'zset' then redis.call('DEL', list_key) end

-- The score is the version of a node, which its tombstone has too: so it can be distinguished from a removed one.
local function put_aside(name, version)
  local aside = prefix .. 'quarantine:' .. name
  if redis.call('ZCARD', list_key) >= most and not redis.call('ZSCORE', list_key, name) then
    redis.call('DEL', prefix .. name)
  else
    redis.call('RENAME', prefix .. name, aside)
    redis.call('PEXPIRE', aside, lasts)
    redis.call('ZADD', list_key, version or '0', name)
    redis.call('PEXPIRE', list_key, lasts)
  end
  moved[#moved + 1] = name
end

for name, wanted in pairs({ epoch = 'string', deadlines = 'zset', events = 'stream' }) do
  local found = type_of(prefix .. name)
  if found ~= wanted and found ~= 'none' then put_aside(name) end
end
if #moved > 0 then redis.call('DEL', KEYS[1]) end

for at = 6, #ARGV, 3 do
  local id, seen_version, seen_change = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local name, gone_name = 'node:' .. id, 'gone:' .. id
  local found = type_of(prefix .. name)
  local version, rubbish = nil, found ~= 'none' and found ~= 'hash'
  if found == 'hash' then
    local stored = redis.call('HMGET', prefix .. name, 'version', 'changeId')
    -- It may have been written anew meanwhile.
    rubbish = (stored[1] or '') == seen_version and (stored[2] or '') == seen_change
    if stored[1] and #stored[1] < 16 and string.find(stored[1], '^[1-9]%d*$') then version = stored[1] end
  end
  local gone = type_of(prefix .. gone_name)
  if gone == 'string' and not string.find(redis.call('GET', prefix .. gone_name), '^[1-9]%d*$') then gone = 'rubbish' end
  if gone ~= 'none' and gone ~= 'string' then put_aside(gone_name) end
  if rubbish then
    put_aside(name, version)
    redis.call('ZREM', KEYS[2], id)
    if version then redis.call('SET', prefix .. gone_name, version, 'PX', lasts, 'NX') end
  end
  -- Also for a node that is listed but absent. A hub that knows of its removal restores nothing.
  if rubbish or found == 'none' then
    redis.pcall('PUBLISH', ARGV[4], 'mend ' .. ARGV[5] .. ' ' .. id)
  end
end
return moved
