-- report: what one process saw of the services of one shard, and what the fleet
-- makes of it.
--
--   KEYS[i]  a service
--   ARGV[i]  a report, 14 doubles:
--            id             of the process, below 2^32
--            present        seconds since its last report
--            calls, fast, slow
--                           first attempts, and successes
--            passed         age of the newest attempt that succeeded, -1: none
--            late, late_age timeouts of attempts sent after it, and the age of the
--                           newest of them
--            asked, ok, failed
--                           requests to a circuit, and how they ended
--            iso_at, iso_until
--                           the newest isolation that the process knows
--            isolate        seconds to isolate the service for; -1 releases it
--   reply    for each key, 11 doubles:
--            share, circuit of what may be sent, 0 to 1
--            passed         as above, of the fleet
--            instances, calls, run, witnesses, failures
--            iso_at, iso_until, left
--            or the word "foreign", if what is there is not ours
--
-- Ages and times are in microseconds. A service is one string: a tag with the
-- version of this layout, 19 doubles, and two lists of processes with bad news, a
-- double each. Only + - * / % and floor are used on them, so that any
-- implementation comes to the same bits. The rule is that of State.Merge in
-- package health.

local tag = 'evkhlth1'
local ttl = 600000 -- ms that a service is remembered that nobody reports
local long, short = 10, 3 -- s
local second, turn_every = 1000000, 500000
local probes = 4
local laps = 1048576 -- 2^20
local most = 9007199254740992 -- 2^53; nothing here comes near it

-- Doubles of a string, and back. The formats have a letter for each.
local f11, f14, f19 = '<ddddddddddd', '<dddddddddddddd', '<ddddddddddddddddddd'
local lists = {'<d', '<dd', '<ddd', '<dddd'}
local pack, parse
if pcall(function() return struct.pack end) then
  pack, parse = struct.pack, struct.unpack
else -- servers without the library
  pack = function(_, ...)
    local out = {}
    for i, x in ipairs({...}) do
      local sign = 0
      if x < 0 then sign, x = 128, -x end
      local m, e = math.frexp(x)
      if x == 0 or e < -1021 then m, e = 0.5, -1022 end
      m, e = (m * 2 - 1) * 4503599627370496, e + 1022
      local b = {}
      for j = 1, 6 do
        b[j] = string.char(m % 256)
        m = math.floor(m / 256)
      end
      b[7] = string.char(m + e % 16 * 16)
      b[8] = string.char(sign + math.floor(e / 16))
      out[i] = table.concat(b)
    end
    return table.concat(out)
  end
  parse = function(format, s, from)
    local out = {}
    for i = 1, #format - 1 do
      local b = {string.byte(s, from + i * 8 - 8, from + i * 8 - 1)}
      local m = b[7] % 16
      for j = 6, 1, -1 do m = m * 256 + b[j] end
      local e = b[8] % 128 * 16 + math.floor(b[7] / 16)
      local x = 0
      if e == 2047 then
        x = 1 / 0 -- no number that is ours
      elseif e > 0 then
        x = math.ldexp(m / 4503599627370496 + 1, e - 1023)
      end
      if b[8] > 127 then x = -x end
      out[i] = x
    end
    return unpack(out)
  end
end

-- recent returns what is not too old of a list, and how many. It leaves out a process
-- that is about to be added.
local function recent(list, half, oldest, except)
  local kept, n = {}, 0
  if list ~= '' then
    local all = {parse(lists[#list / 8], list, 1)}
    half = half % laps
    for i = 1, #list / 8 do
      local w = all[i]
      local at = w % laps
      local age = half - at
      if age < 0 then age = age + laps end
      if age <= oldest and (w - at) / laps ~= except then
        n = n + 1
        kept[n] = w
      end
    end
  end
  return kept, n
end

-- remember adds a process to a list, and returns how many are in it then.
local function remember(list, id, half, oldest)
  local kept, n = recent(list, half, oldest, id)
  if n == 4 then table.remove(kept, 1) else n = n + 1 end
  kept[n] = id * laps + half % laps
  return pack(lists[n], unpack(kept)), n
end

local function floor_of(per_second)
  if per_second < probes then return 1 end
  return probes / per_second
end

local function raised(share)
  share = 4 * share
  if share < 0.25 then return 0.25 end
  if share > 1 then return 1 end
  return share
end

local t = redis.call('TIME')
local time = tonumber(t[1]) * second + tonumber(t[2])

local reply = {}
for i, key in ipairs(KEYS) do
  local v = redis.pcall('GET', key)
  local at, present, turn_at, calls, run, passed, share, fast, slow, late, steady,
    asked, failures, circuit, good, bad, iso_at, iso_until, count
  local witnesses, failing = '', ''
  if not v then
    at, present, turn_at, calls, run, passed, share, fast, slow, late, steady =
      time, 0, time, 0, 0, 0, 1, 0, 0, 0, 0
    asked, failures, circuit, good, bad, iso_at, iso_until = 0, 0, 1, 0, 0, 0, 0
  elseif type(v) == 'string' then
    if #v >= 160 and #v <= 224 and #v % 8 == 0 and string.sub(v, 1, 8) == tag then
      at, present, turn_at, calls, run, passed, share, fast, slow, late, steady,
        asked, failures, circuit, good, bad, iso_at, iso_until, count = parse(f19, v, 9)
      -- The comparisons are false for what is not a number.
      if at >= 0 and at < most and count >= 0 and count <= 4 and
        share > 0 and share <= 1 and circuit > 0 and circuit <= 1 then
        witnesses = string.sub(v, 161, 160 + count * 8)
        failing = string.sub(v, 161 + count * 8)
      else
        at = nil
      end
    end
  elseif not string.find(v.err, 'WRONGTYPE', 1, true) then
    return v
  end
  if not at then
    reply[i] = 'foreign'
  else
    local id, r_present, r_calls, r_fast, r_slow, r_passed, r_late, late_age,
      r_asked, r_ok, r_failed, r_iso_at, r_iso_until, isolate = parse(f14, ARGV[i], 1)

    -- A clock that trembles must not count time twice. One that went back for good
    -- must not leave times in the future.
    local now = time
    if now < at and at - now < second then now = at end
    local el = (now - at) / second
    if el < 0 then el = 0 end
    if turn_at > now then turn_at = now end
    if passed > now then passed = now end

    local longer, shorter = 1 + el / long, 1 + el / short
    present = present / longer + r_present
    local instances = present / (long + el)
    calls = calls / shorter + r_calls
    asked = asked / shorter + r_asked
    local half = math.floor(now / turn_every)

    -- Timeouts that nothing overtook.
    run = run / shorter
    local seen = 0
    if r_passed >= 0 and now - r_passed > passed then
      passed, run, witnesses = now - r_passed, 0, ''
    end
    if r_late > 2 then r_late = 2 end
    if r_late > 0 and now - late_age > passed then
      run = run + r_late
      witnesses, seen = remember(witnesses, id, half, 2 * short)
    elseif witnesses ~= '' then
      local _, n = recent(witnesses, half, 2 * short)
      seen = n
    end
    fast, slow, late = fast + r_fast, slow + r_slow, late + r_late

    -- Calls that failed, without what a success takes back.
    failures = failures / longer
    local own = 5 + failures / 100
    if r_failed < own then own = r_failed end
    failures = failures + own
    if r_failed > r_ok then failing = (remember(failing, id, half, 2 * long)) end
    if r_ok > 0 then
      failures = failures - 200 * r_ok
      if failures < 0 then failures = 0 end
    end
    good, bad = good + r_ok, bad + r_failed

    local took = now - turn_at
    if took >= turn_every then
      local calls_rate, asked_rate = calls / (short + el), asked / (short + el)
      local enough = 3
      if instances < 2.5 then enough = 2 end

      local least, succeeded = floor_of(calls_rate), fast + slow
      local raise = false
      if share >= 1 then
        local need = calls_rate / 8
        if need < 7 then need = 7 end
        if need > 50 then need = 50 end
        if run >= need and seen >= enough then
          local expected = calls_rate * (took / second)
          if expected < 1 then expected = 1 end
          share, steady = succeeded / 2 / expected, 0
          if share > 0.5 then share = 0.5 end
          if share < least then share = least end
        end
      elseif succeeded == 0 and late > 0 then
        share, steady = share / 4, 0
        if share < least then share = least end
      elseif fast > 0 and late + slow <= fast then
        raise = true
      elseif succeeded > late then
        steady = steady + 1
        raise = steady >= 4
      elseif share < least then
        share = least
      end
      if raise then
        share = raised(share)
        if share >= 1 then run, steady, witnesses = 0, 0, '' end
      end
      fast, slow, late = 0, 0, 0

      least = floor_of(asked_rate)
      if circuit >= 1 then
        local need = 5 * asked_rate
        if need < 100 then need = 100 end
        if failures >= need then
          local _, voters = recent(failing, half, 2 * long)
          if voters >= enough then circuit, failures = least, 0 end
        end
      elseif good > 0 then
        circuit = raised(circuit)
        if circuit >= 1 then failures, failing = 0, '' end
      elseif bad > 0 then
        circuit = least
      elseif circuit < least then
        circuit = least
      end
      good, bad = 0, 0
      turn_at = now
    end

    -- The newest isolation or release wins.
    if r_iso_at > iso_at then iso_at, iso_until = r_iso_at, r_iso_until end
    if isolate ~= 0 then
      iso_at, iso_until = iso_at + 1, 0
      if iso_at < now then iso_at = now end
      if isolate > 0 then iso_until = now + isolate * second end
    end
    local left = iso_until - now
    if left < 0 then left = 0 end

    v = tag .. pack(f19, now, present, turn_at, calls, run, passed, share, fast, slow,
      late, steady, asked, failures, circuit, good, bad, iso_at, iso_until,
      #witnesses / 8) .. witnesses .. failing
    local keep = ttl
    if left / 1000 > keep then keep = math.floor(left / 1000) end
    redis.call('SET', key, v, 'PX', keep)
    local since = -1
    if passed > 0 then since = now - passed end
    reply[i] = pack(f11, share, circuit, since, instances, calls / (short + el), run,
      seen, failures, iso_at, iso_until, left / second)
  end
end
return reply
