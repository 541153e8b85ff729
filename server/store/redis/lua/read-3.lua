--[[
The stored state of one node.

KEYS  1 epoch  2 node  3 gone
ARGV  1 the attached epoch
Returns {'epoch'}: the data set is another one
        {'node', version, session, sessionSeq, changeId, restored ('1' or '0'), record, timing}, '' for what is absent
        {'gone', version} | {'nothing'} | {'bad'}: a key of another type
]]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'epoch' }
end
local node = redis.pcall('HMGET', KEYS[2], 'version', 'session', 'sessionSeq', 'changeId', 'restored', 'record', 'timing')
if node.err then return { 'bad' } end
for n = 1, 7 do
  if node[n] then
    return { 'node', node[1] or '', node[2] or '', node[3] or '', node[4] or '', node[5] or '', node[6] or '',
      node[7] or '' }
  end
end
local version = redis.pcall('GET', KEYS[3])
if type(version) == 'table' then return { 'bad' } end
if version then
  return { 'gone', version }
end
return { 'nothing' }
