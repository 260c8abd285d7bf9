-- take: one request of a key, by the generic cell rate algorithm.
--
--   KEYS[1]  when the quota is whole again, in microseconds by this clock
--   ARGV[1]  what one request is worth, in microseconds
--   ARGV[2]  what the most at once are worth
--   ARGV[3]  the most that can be owed beyond that
--   ARGV[4]  requests that an instance granted on its own and has not told yet
--   reply    1 if the request is granted, or else 0;
--            microseconds until the quota is whole;
--            microseconds until the next request is granted, 0 if this is

local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst, over, owed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'table' then return stored end
local full = tonumber(stored) or 0
if not (full >= now) then full = now end -- nor is it a number
local changed = owed > 0
if full > now + burst + over then
	-- Nobody can owe that much: it was stored by a clock that was ahead.
	full, changed = now + burst, true
end
if owed > 0 then
	full = math.min(full + owed * interval, now + burst + over)
end
local granted, wait = 1, 0
if full + interval <= now + burst then
	full, changed = full + interval, true
else
	granted, wait = 0, full + interval - burst - now
end
if changed and full > now then
	redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
end
return {granted, full - now, wait}
