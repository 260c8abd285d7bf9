-- renew: the lease of a run ends later.
--
--   KEYS[1]  the hash of begin
--   ARGV     owner, lease, keep
--   reply    1, or 0 if the key is not the owner's, or done

local got = redis.call('HMGET', KEYS[1], 'owner', 'answer')
if got[1] ~= ARGV[1] or got[2] then return 0 end
local t = redis.call('TIME')
redis.call('HSET', KEYS[1], 'lease', string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
