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
--            or the word "foreign", if what is there is not ours; or "none", if
--            there is nothing and the call is about the switch alone
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
-- memory is told. A pause is kept for good, and a resume for longer than a process
-- that missed it is likely to be away.

local tag = 'evkbdgt1'
local ttl = 600000 -- ms that an unused budget is remembered
local resumed = 2592000000 -- ms that one is which was paused and resumed: 30 days
local long, short = 10, 1 -- s over which sums decay
local soon = 0.5 -- s that a pool should last, and the most that an ask counts for
local newcomer = 0.2 -- the least that an ask counts for
local token = 1000000
local most = 9007199254740992 -- 2^53; nothing here comes near it

-- Servers without the struct library get the two functions that are used:
-- doubles to a string, and back.
local pack8, parse
if pcall(function() return struct.pack end) then
  pack8 = function(a, b, c, d, e, f, g, h)
    return struct.pack('<dddddddd', a, b, c, d, e, f, g, h)
  end
  parse = function(s)
    if #s == 96 then return struct.unpack('<dddddddddddd', s) end
    return struct.unpack('<dddddddd', s)
  end
else
  pack8 = function(...)
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
    return unpack(out)
  end
end

-- stored returns the doubles of a budget, or nothing if v is not one.
local function stored(v)
  if #v ~= 72 or string.sub(v, 1, 8) ~= tag then return end
  local a, b, c, d, e, f, g, h = parse(string.sub(v, 9))
  -- The comparisons are false for what is not a number.
  if a >= 0 and a < most and b >= 0 and b < most and c >= 0 and c < most and
    d >= 0 and d < most and e >= 0 and e < most and f >= 0 and f < most and
    g >= 0 and g < most and h > -most and h < most then
    return a, b, c, d, e, f, g, h
  end
end

local t = redis.call('TIME')
local time = tonumber(t[1]) * 1000000 + tonumber(t[2])

local reply = {}
for i, key in ipairs(KEYS) do
  local v = redis.pcall('GET', key)
  local pool, at, act, req, wants, ret, den, switch
  if not v then
    pool, act, req, wants, ret, den, switch = 0, 0, 0, 0, 0, 0, 0
    at = time
  elseif type(v) == 'string' then
    pool, at, act, req, wants, ret, den, switch = stored(v)
  elseif not string.find(v.err, 'WRONGTYPE', 1, true) then
    return v
  end
  local ratio, floor, stock, give, want, requests, spent, denied, present,
    draw, known, turn = parse(ARGV[i])
  if not pool then
    reply[i] = 'foreign'
  elseif not v and turn ~= 0 and stock == 0 then
    reply[i] = 'none'
  else

    -- A clock that trembles would earn the floor again and again, so the
    -- stored time does not follow it back, unless it went for good.
    local now = time
    if now < at and at - now < 1000000 then now = at end
    local el = (now - at) / 1000000
    if el < 0 then el = 0 end

    local slow, fast = 1 + el / long, 1 + el / short
    act = act / slow + present
    req = req / slow + requests
    wants = wants / fast
    ret = ret / fast + spent
    den = den / fast + denied
    local rate = req / (long + el)

    if math.abs(known) > math.abs(switch) then switch = known end
    if turn ~= 0 then
      local newest = math.abs(switch) + 1
      if newest < now then newest = now end
      switch = turn * newest
    end

    local cap, grant = pool, 0
    if stock > 0 then
      cap = (rate * ratio + floor) * stock * token
      if cap < token then cap = token end -- or none would ever be whole
      if cap > most / 2 then cap = most / 2 end
      local earned = el
      if earned > stock then earned = stock end
      pool = pool + floor * earned * token + give
      if pool > cap then pool = cap end
      if want > 0 then
        -- Max-min fairness: each process that wants some has the same share of the
        -- pool for the same time, and what a modest one leaves is for the others.
        -- Drawing lots for the part of a token keeps that true where the shares
        -- are small.
        local weight = present
        if weight < newcomer then weight = newcomer end
        if weight > soon then weight = soon end
        local wanting = (wants + weight) / (short + el) -- processes
        local share = pool / token * weight / (wanting * soon)
        if share < 1 and pool / token >= wanting then share = 1 end -- there is one for each
        local part = 1
        if want < share then part, share = want / share, want end
        wants = wants + weight * part
        if pool >= token then
          grant = math.floor(share + draw)
          if grant > want then grant = want end
          local whole = math.floor(pool / token)
          if grant > whole then grant = whole end
          pool = pool - grant * token
        end
      end
    end

    v = tag .. pack8(pool, now, act, req, wants, ret, den, switch)
    if switch > 0 then
      redis.call('SET', key, v)
    else
      redis.call('SET', key, v, 'PX', switch < 0 and resumed or ttl)
    end
    reply[i] = pack8(grant, pool / token, cap / token, act / (long + el), rate,
      ret / (short + el), den / (short + el), switch)
  end
end
return reply
