-- counter: what it is at least; and whether to move it, for an invalidation.
if op == 'counter' then return count(key, tonumber(ARGV[6]), ARGV[7] ~= '') end

-- The record of a tag lies under KEYS[2].
local function tag() return moments(redis.call('GET', key), generation) end

-- Where a tag has no record, its last invalidation was not after the partition's floor. ':' says that this is so for all
-- that there has been, '~' for what came since the record of the partition was made.
local function lowest() return number(sub(floor, 2)) or 0 end

-- mark: the counter as it was moved for this invalidation. Returns what it should have been above.
if op == 'mark' then
  proceed()
  local n = tonumber(ARGV[6])
  if not sequence then mint() end
  local at, latest = tag()
  floor = (sub(floor, 1, 1) == ':' and ':' or '~') .. decimal(math.max(lowest(), n))
  if at and at < n then
    redis.call('SET', key, generation .. decimal(n) .. ' ' .. decimal(latest), 'KEEPTTL')
  end
  local name = ARGV[5]
  if name == '' then name = sub(key, #rec + 1) end
  if who == '' then keep() else tell('t', name) end
  return math.max(at or 0, latest or 0)
end

-- ensure: the generation that was seen, and the counter as it was after that, by which a record can be made where the floor
-- is not all; or 'any' and nothing; the stamp and the life of what has the tag; what the counter is at least, where it
-- lies under KEYS[3], and can be read here. Returns the moment of the last invalidation; or 0; or, of any, the generation
-- in which the counter has to be read.
if op == 'ensure' then
  local any = ARGV[6] == 'any'
  if any and not sequence then
    mint()
    keep()
  end
  if not any and (not sequence or ARGV[6] ~= generation) then return 0 end
  local at, latest = tag()
  local base = tonumber(ARGV[7])
  if not at then
    at, latest = lowest(), 1
    if sub(floor, 1, 1) ~= ':' then
      if KEYS[3] then base = count(KEYS[3], tonumber(ARGV[10]))[1] end
      if not base then return any and generation or 0 end
      at = math.max(at, base)
    end
  end
  if sub(floor, 1, 1) ~= ':' and base then
    floor = ':' .. decimal(math.max(lowest(), base))
    keep()
  end
  redis.call('SET', key, generation .. decimal(at) .. ' ' .. decimal(math.max(latest, tonumber(ARGV[8]))),
    'PX', decimal(math.max(tonumber(ARGV[9]), redis.call('PTTL', key))))
  return at
end
