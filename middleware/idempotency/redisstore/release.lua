-- release: nothing has happened, and the record is deleted.
--
--   KEYS[1]  the hash of begin
--   ARGV     owner
--   reply    1, or 0 if the key is another owner's, or done

local got = redis.call('HMGET', KEYS[1], 'owner', 'answer')
if got[1] and (got[1] ~= ARGV[1] or got[2]) then return 0 end
if got[1] then redis.call('DEL', KEYS[1]) end
return 1
