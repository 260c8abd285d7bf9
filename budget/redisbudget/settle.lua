-- settle: what one process and the fleet owe each other, for the budgets of
-- one shard.
--
--   KEYS[i]  a budget
--   ARGV[i]  what the process says about it, 12 doubles:
--            ratio, floor, stock   its policy; stock is Pool in seconds, and 0
--                                  if the call is about the switch alone
--            give                  micro-tokens to put in the pool
--            want                  tokens to take out
--            requests, spent, denied, present
--                                  since it last said; present in seconds
--            draw                  random, 0 <= draw < 1
--            known                 the newest turn of the switch that it knows
--            turn                  1 pauses, -1 resumes, 0 neither
--   reply    for each key, 8 doubles:
--            grant, pool, cap      tokens
--            instances
--            requests, retries, denied
--                                  of the fleet, per second
--            switch                as below
--            or the word "foreign", if what is there is not ours
--
-- A budget is one string: a tag with the version of this layout, then 8
-- doubles: pool (in micro-tokens, so that crumbs of many processes add up to
-- whole tokens), at (of the last call, in microseconds), decayed sums of
-- present, requests, want, spent and denied, and switch. No process is known by
-- name. Only + - * / and floor are used on them, so that any implementation
-- comes to the same bits.
--
-- switch is when the budget was last paused, or minus when it was resumed. The
-- newest wins, and each process carries it, so that a server which lost its
-- memory is told.

local tag = 'evkbdgt1'
local ttl = 600000 -- ms that an unused budget is remembered
local long, short = 10, 1 -- s over which sums decay
local soon = 0.5 -- s of wants that a pool should be able to serve
local token = 1000000
local most = 9007199254740992 -- 2^53; nothing here comes near it

-- Servers without the struct library get the two functions that are used.
local pack, parse
if pcall(function() return struct.pack end) then
  pack = function(t)
    return struct.pack('<' .. string.rep('d', #t), unpack(t))
  end
  parse = function(s)
    return {struct.unpack('<' .. string.rep('d', #s / 8), s)}
  end
else
  pack = function(t)
    local out = {}
    for i, x in ipairs(t) do
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
  parse = function(s)
    local out = {}
    for i = 1, #s / 8 do
      local b = {string.byte(s, i * 8 - 7, i * 8)}
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
    return out
  end
end

local fresh = {0, 0, 0, 0, 0, 0, 0, 0}

-- read returns the doubles of a stored budget, or nil.
local function read(v)
  if #v ~= 72 or string.sub(v, 1, 8) ~= tag then return nil end
  local s = parse(string.sub(v, 9))
  for i = 1, 7 do
    if not (s[i] >= 0 and s[i] < most) then return nil end
  end
  if not (s[8] > -most and s[8] < most) then return nil end
  return s
end

local t = redis.call('TIME')
local time = tonumber(t[1]) * 1000000 + tonumber(t[2])

local reply = {}
for i, key in ipairs(KEYS) do
  local v = redis.pcall('GET', key)
  local s
  if not v then
    s = fresh
  elseif type(v) == 'string' then
    s = read(v)
  elseif not string.find(v.err, 'WRONGTYPE', 1, true) then
    return v
  end
  if not s then
    reply[i] = 'foreign'
  else
    local a = parse(ARGV[i])
    local ratio, floor, stock, give, want = a[1], a[2], a[3], a[4], a[5]
    local requests, spent, denied, present = a[6], a[7], a[8], a[9]
    local draw, known, turn = a[10], a[11], a[12]

    -- A clock that trembles would earn the floor again and again, so the
    -- stored time does not follow it back, unless it went for good.
    local now, at = time, s[2]
    if s == fresh then at = now end
    if now < at and at - now < 1000000 then now = at end
    local el = (now - at) / 1000000
    if el < 0 then el = 0 end

    local slow, fast = 1 + el / long, 1 + el / short
    local act = s[3] / slow + present
    local req = s[4] / slow + requests
    local wants = s[5] / fast + want
    local ret = s[6] / fast + spent
    local den = s[7] / fast + denied
    local rate = req / (long + el)

    local switch = s[8]
    if math.abs(known) > math.abs(switch) then switch = known end
    if turn ~= 0 then
      local newest = math.abs(switch) + 1
      if newest < now then newest = now end
      switch = turn * newest
    end

    local pool, cap, grant = s[1], s[1], 0
    if stock > 0 then
      cap = (rate * ratio + floor) * stock * token
      if cap < token then cap = token end -- or none would ever be whole
      if cap > most / 2 then cap = most / 2 end
      local earned = el
      if earned > stock then earned = stock end
      pool = pool + floor * earned * token + give
      if pool > cap then pool = cap end
      if want > 0 and pool >= token then
        -- If the pool is short, each gets the same share of what it wants.
        -- Drawing lots for the part of a token keeps that true where the
        -- shares are small.
        local share, need = want, wants / (short + el) * soon * token
        if pool < need then share = want * pool / need end
        grant = math.floor(share + draw)
        if grant > want then grant = want end
        local whole = math.floor(pool / token)
        if grant > whole then grant = whole end
        pool = pool - grant * token
      end
    end

    v = tag .. pack({pool, now, act, req, wants, ret, den, switch})
    if switch > 0 then
      redis.call('SET', key, v) -- a pause is not forgotten
    else
      redis.call('SET', key, v, 'PX', ttl)
    end
    reply[i] = pack({grant, pool / token, cap / token, act / (long + el), rate,
      ret / (short + el), den / (short + el), switch})
  end
end
return reply
