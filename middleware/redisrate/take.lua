-- take: one request of a key, by the generic cell rate algorithm.
--
--   KEYS[1]  when the quota is whole again, in microseconds by this clock, to
--            three decimals
--   ARGV[1]  what one request is worth, in nanoseconds
--   ARGV[2]  what the most at once are worth
--   ARGV[3]  the most that can be owed beyond that
--   ARGV[4]  requests that an instance granted on its own and has not told yet
--   reply    1 if the request is granted, or else 0;
--            nanoseconds until the quota is whole;
--            nanoseconds until the next request is granted, 0 if this is;
--            the two as text, because not every server has integers of 64 bits

local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst, over, owed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'table' then return stored end
-- A time in nanoseconds is more than a number here can hold: what lies between
-- now and then is not.
local whole, part = string.match(stored or '', '^(%d+)%.?(%d*)$')
local debt = 0 -- if it is not a number, too
if whole then debt = math.max((whole - now) * 1000 + (tonumber(part) or 0), 0) end
local changed = owed > 0
if debt > burst + over then
	-- Nobody can owe that much: it was stored by a clock that was ahead.
	debt, changed = burst, true
end
if owed > 0 then
	debt = math.min(debt + owed * interval, burst + over)
end
local granted, wait = 1, 0
if debt + interval <= burst then
	debt, changed = debt + interval, true
else
	granted, wait = 0, debt + interval - burst
end
if changed and debt > 0 then
	local rest = debt % 1000
	local full = string.format('%.0f.%03d', now + (debt - rest) / 1000, rest)
	redis.call('SET', KEYS[1], full, 'PX', math.ceil(debt / 1000000))
end
return {granted, string.format('%.0f', debt), string.format('%.0f', wait)}
