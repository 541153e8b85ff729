--[[
Adopts a shard's data set; if there is none, names a new one.

KEYS  1 epoch  2 absent
ARGV  1 the name for a new data set
Returns the name of the data set.
]]
local epoch = redis.call('GET', KEYS[1])
if epoch and #epoch <= 64 and string.find(epoch, '^[%w_-]+$') then
  return epoch
end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
