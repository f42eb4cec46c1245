-- counter: what it is at least; and whether to move it, for an invalidation.
if op == 'counter' then return count(tonumber(ARGV[6]), ARGV[7] ~= '') end

-- A tag's record lies under KEYS[2] and is a generation, the moment of the tag's last invalidation, a space, and the latest
-- stamp of the entries that have the tag. One of another generation is none.
local function tag()
  local text = redis.call('GET', key)
  if not text or sub(text, 1, 8) ~= generation then return nil end
  local at, latest = string.match(text, '^(%d+) (%d+)$', 9)
  at, latest = number(at), number(latest)
  if at and latest then return at, latest end
end

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

-- ensure: the generation that was seen, the counter as it was after that, the stamp and the life of what has the tag. Without
-- a counter, a record is not made. Returns the moment of the last invalidation, or 0.
if op == 'ensure' then
  if not sequence or ARGV[6] ~= generation then return 0 end
  local at, latest = tag()
  if not at then
    if ARGV[7] == '' then return 0 end
    at, latest = lowest(), 1
    if sub(floor, 1, 1) ~= ':' then at = math.max(at, tonumber(ARGV[7])) end
  end
  if sub(floor, 1, 1) ~= ':' and ARGV[7] ~= '' then
    floor = ':' .. decimal(math.max(lowest(), tonumber(ARGV[7])))
    keep()
  end
  redis.call('SET', key, generation .. decimal(at) .. ' ' .. decimal(math.max(latest, tonumber(ARGV[8]))),
    'PX', decimal(math.max(tonumber(ARGV[9]), redis.call('PTTL', key))))
  return at
end

