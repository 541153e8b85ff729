--[[
The end of a shard's log and all of its nodes, at one moment and of one server: every later change, on any
server that takes over, is in the log after it, or the log shows that it lost that end.

KEYS  1 epoch  2 deadlines  3 events  4 absent
ARGV  1 the attached epoch
Returns {'epoch'}: the data set is another one
        {'nodes', the id of the log's last entry or '0-0', {id, ...}}
]]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'epoch' }
end
local newest = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
return { 'nodes', newest and newest[1] or '0-0', redis.call('ZRANGE', KEYS[2], 0, -1) }
