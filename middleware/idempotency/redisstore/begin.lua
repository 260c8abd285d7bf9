-- begin: claims a key, or says why not. Times are those of this clock, in milliseconds.
--
--   KEYS[1]  a hash: fp, owner, runs, lease (when it ends), and answer once it is done
--   ARGV     fingerprint, owner, lease, keep, 1 to resume
--   reply    the state; runs, or what is left of the lease; the answer

local got = redis.call('HMGET', KEYS[1], 'fp', 'owner', 'runs', 'lease', 'answer')
local fp, owner, runs, ends, answer = got[1], got[2], tonumber(got[3]), tonumber(got[4]), got[5]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local started, busy, done, mismatch, unknown = 1, 2, 3, 4, 5

local function start(n)
	redis.call('HSET', KEYS[1], 'fp', ARGV[1], 'owner', ARGV[2], 'runs', n, 'lease', string.format('%.0f', now + ARGV[3]))
	redis.call('PEXPIRE', KEYS[1], ARGV[4])
	return {started, n, ''}
end

if redis.call('EXISTS', KEYS[1]) == 0 then return start(1) end
if not (fp and owner and runs and ends) then return redis.error_reply('FOREIGN the key holds something else than a record') end
if fp ~= ARGV[1] then return {mismatch, 0, ''} end
if answer then return {done, 0, answer} end
if owner == ARGV[2] then return start(runs) end
if ends > now then return {busy, ends - now, ''} end
if ARGV[5] == '1' then return start(runs + 1) end
return {unknown, 0, ''}
