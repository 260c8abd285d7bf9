-- finish: stores the answer of a run. The first answer stays.
--
--   KEYS[1]  the hash of begin
--   ARGV     owner, answer, keep
--   reply    1, or 0 if the key is not the owner's

local got = redis.call('HMGET', KEYS[1], 'owner', 'answer')
if got[1] ~= ARGV[1] then return 0 end
if not got[2] then
	redis.call('HSET', KEYS[1], 'answer', ARGV[2])
	redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
