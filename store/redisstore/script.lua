if op == 'time' then return now end

if not sequence then
  if op == 'stands' or op == 'fill' or op == 'drop' then return 0 end
  mint()
end

if op == 'begin' then
  if minted then
    proceed()
    keep()
  end
  return 'begun'
end

if op == 'clear' then
  proceed()
  mint()
  tell('c', '')
  return 'cleared'
end

-- What stands under the key: a version, the generation, and a kind; see stored.go.
local head = redis.call('GETRANGE', key, 0, 34)
local kind, current = '', false
if #head > 10 and head:byte() >= OLDEST and head:byte() <= NEWEST then
  kind, current = sub(head, 10, 10), sub(head, 2, 9) == generation
end
local found = (kind == 'v' or kind == 'n') and current and #head == 35
local stands = found and sub(head, 11, 18) or ''
local tagged = found and head:byte(35) > 1
local again = current and (found or kind == 'd') and sub(head, 11, 18) == id

-- The holds that live, and whether they are tainted: by each other, by an invalidation, or by another generation.
local live, tainted = {}, false
if kind == 'h' then
  local all = redis.call('GET', key)
  tainted = sub(all, 11, 11) == 't' or not current
  for at = 12, #all - 23, 24 do
    local ends = struct.unpack('>I8', all, at + 16)
    if ends > now then live[#live + 1] = sub(all, at, at + 23) end
  end
end

local function rehold(holds, taint)
  local last = now + 1
  for _, hold in ipairs(holds) do
    local ends = struct.unpack('>I8', hold, 17)
    last = math.max(last, ends)
  end
  redis.call('SET', key, wire .. generation .. 'h' .. (taint and 't' or 'a') .. table.concat(holds), 'PX', last - now)
end

-- The value whose life, freshness, kind and payload are ARGV[i] and what follows it.
local function put(i)
  local fresh = 0
  if ARGV[i + 1] ~= '' then fresh = math.max(now + ARGV[i + 1], 1) end
  redis.call('SET', key, wire .. generation .. ARGV[i + 2] .. id .. pack('>I8I8', now + ARGV[i], fresh) .. ARGV[i + 3],
    'PX', ARGV[i])
end

-- Removes a value, and remembers for a while who did: a repeated operation finds its own ID.
local function remove()
  redis.call('DEL', key)
  redis.call('SET', key, wire .. generation .. 'd' .. id, 'PX', 60000)
end

local function changed()
  local name = ARGV[5]
  if name == '' then name = sub(key, #rec + 1) end
  tell('k', name)
end

if op == 'delete' then
  proceed()
  changed()
  if #live > 0 then rehold(live, true) else redis.call('DEL', key) end
  return 'deleted'
end

-- set: life, freshness, kind, payload. No life: the key is emptied.
if op == 'set' then
  if #live > 0 then return 'held' end
  if again then return 'stored' end
  local full
  if ARGV[6] ~= '' then full = room() end
  proceed()
  changed()
  if ARGV[6] == '' or full then redis.call('DEL', key) else put(6) end
  return full or 'stored'
end

-- An entry with tags may be gone, which only who asks can tell: he is given it, and comes again with its ID if it is.
local function untold(known)
  if tagged and stands ~= known then return {'tagged', redis.call('GET', key), now} end
end

-- add: life, freshness, kind, payload; the ID of an entry that is gone.
if op == 'add' then
  if again then return 'stored' end
  if found and stands ~= ARGV[10] then return untold(ARGV[10]) or 'there' end
  if #live > 0 then return 'held' end
  local full = room()
  if full then return full end
  changed()
  put(6)
  return 'stored'
end

-- touch: life; the ID of an entry with tags that is not gone. No life: the entry ends.
if op == 'touch' then
  if again then return 'touched' end
  if not found then return 'none' end
  local answer = untold(ARGV[7])
  if answer then return answer end
  if ARGV[6] == '' then
    proceed()
    changed()
    remove()
    return 'touched'
  end
  local full = room()
  if full then return full end
  changed()
  redis.call('SETRANGE', key, 10, id .. pack('>I8', now + ARGV[6]))
  redis.call('PEXPIRE', key, ARGV[6])
  return 'touched'
end

-- Whether one of the tags of what is to be replaced was invalidated after their stamp, or may have been. The record of
-- each lies under one of the keys from the fourth on, and that of its partition under the next.
local function overtaken(stamp)
  for i = 4, #KEYS, 2 do
    local texts = redis.call('MGET', KEYS[i], KEYS[i + 1])
    local at = moments(texts[1], parts(texts[2]))
    if not at or at > tonumber(stamp) then return true end
  end
  return false
end

-- compute: the ID of the value that was seen; life, freshness, kind, payload; the stamp of what is replaced. No life: the
-- key is emptied.
if op == 'compute' then
  if #live > 0 then return 'held' end
  if again then return 'stored' end
  if stands ~= ARGV[6] or overtaken(ARGV[11]) then return 'changed' end
  if ARGV[7] == '' then
    proceed()
    changed()
    remove()
    return 'stored'
  end
  local full = room()
  if full then return full end
  changed()
  put(7)
  return 'stored'
end

-- lease: token, life, whether to lease also what is there, and the ID of an entry that is gone.
if op == 'lease' then
  local token = ARGV[6]
  if #live > 0 then return {'held'} end
  if found then
    local gone = stands == ARGV[9]
    if ARGV[8] == '' and not gone then return {'hit', '', redis.call('GET', key), now} end
    local lease = redis.call('GET', refresh)
    if lease and sub(lease, 1, 8) == stands and sub(lease, 9) ~= token then
      return {'leased', sub(lease, 9), redis.call('GET', key), now}
    end
    if not gone then
      redis.call('SET', refresh, stands .. token, 'PX', ARGV[7])
      return {'granted', token, redis.call('GET', key), now}
    end
  end
  if kind == 'l' and current then
    local other = sub(head, 11, 26)
    if other ~= token then return {'leased', other} end
    return {'granted', token}
  end
  local full = room()
  if full then return full end
  if minted then keep() end
  redis.call('SET', key, wire .. generation .. 'l' .. token, 'PX', ARGV[7])
  return {'granted', token}
end

local function leased(token)
  if kind == 'l' then return current and sub(head, 11, 26) == token end
  return found and redis.call('GET', refresh) == stands .. token
end

if op == 'stands' then return leased(ARGV[6]) and 1 or 0 end

-- fill: token; 'store' with life, freshness, kind, payload, and the stamp of what is replaced; 'empty'; or 'release'.
if op == 'fill' then
  if again then return 1 end
  if not leased(ARGV[6]) then return 0 end
  local stores, full = ARGV[7] == 'store' and not overtaken(ARGV[12])
  if stores then full = room() end
  proceed()
  if found then
    redis.call('DEL', refresh)
    if full then return full end
    if ARGV[7] == 'release' then return 0 end
    changed()
  end
  if stores and not full then
    put(8)
    return 1
  end
  redis.call('DEL', key)
  return full or 0
end

-- hold: token, life, and whether to return what was there, to be put back.
if op == 'hold' then
  for _, hold in ipairs(live) do
    if sub(hold, 1, 16) == ARGV[6] then return {'held'} end
  end
  if #live >= MOST then return {'full'} end
  local before, left = '', 0
  if ARGV[8] ~= '' and #live == 0 then before, left = redis.call('GET', key) or '', redis.call('PTTL', key) end
  proceed()
  changed()
  local shared = #live > 0
  live[#live + 1] = ARGV[6] .. pack('>I8', now + ARGV[7])
  rehold(live, shared)
  return {'held', before, left}
end

local others, mine = {}, false
for _, hold in ipairs(live) do
  if sub(hold, 1, 16) == ARGV[6] then mine = true else others[#others + 1] = hold end
end

-- unhold: token; what was there before the hold, and its life.
if op == 'unhold' then
  if not mine then return 'gone' end
  proceed()
  if #others > 0 then
    rehold(others, tainted)
  elseif not tainted and ARGV[7] ~= '' then
    redis.call('SET', key, ARGV[7], 'PX', ARGV[8])
  else
    redis.call('DEL', key)
  end
  return 'unheld'
end

-- settle: token; life, freshness, kind, payload. No life: the key is emptied.
if op == 'settle' then
  if not mine and again then return 'stored' end
  local full
  if ARGV[7] ~= '' then full = room() end
  proceed()
  if not mine then changed() end
  if #others > 0 then
    rehold(others, true)
    return 'left'
  end
  if mine and not tainted and ARGV[7] ~= '' and not full then
    put(7)
    return 'stored'
  end
  redis.call('DEL', key)
  return full and 'refused' or 'emptied'
end

-- drop: the SHA-1 of what cannot be decoded.
if op == 'drop' then
  if redis.sha1hex(redis.call('GET', key) or '') ~= ARGV[6] then return 0 end
  return redis.call('DEL', key)
end

return redis.error_reply('ERR tarn: no such operation')
