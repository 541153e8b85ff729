--[[
What is stored of one node.

KEYS  1 epoch  2 node  3 gone
ARGV  1 the attached epoch
Returns {'epoch'}: the data set is another one
        {'node', session, sessionSeq, changeId, restored ('1' or '0'), record, timing ('' where it is the record's)}
        {'gone', version} | {'nothing'}
]]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { 'epoch' }
end
local node = redis.call('HMGET', KEYS[2], 'session', 'sessionSeq', 'changeId', 'restored', 'record', 'timing')
if node[1] then
  return { 'node', node[1], node[2], node[3], node[4], node[5], node[6] or '' }
end
local version = redis.call('GET', KEYS[3])
if version then
  return { 'gone', version }
end
return { 'nothing' }
