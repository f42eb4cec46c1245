-- What all operations begin with: the time, and the record of the partition, which lies under KEYS[1] and is a
-- generation of 8 bytes, a sequence in decimal, and what tags.lua has to remember. ARGV: the operation, the version to
-- write, the operation's ID, and the publisher with the partition, empty where nothing is to be told.

local sub, pack = string.sub, struct.pack
local rec, key, refresh = KEYS[1], KEYS[2], KEYS[3]
local op, wire, id, who = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function parts(text)
  if not text or #text <= 8 then return nil end
  local digits, rest = string.match(text, '^(%d+)([:~]?%d*)$', 9)
  if digits then return sub(text, 1, 8), tonumber(digits), rest end
end

local record = redis.call('GET', rec)
local generation, sequence, floor = parts(record)
floor = floor or ''
local minted = false

local LARGEST = 9e15 -- above it, numbers are no whole ones any more
local function number(text)
  if not text or #text > 16 or not string.find(text, '^%d+$') then return nil end
  local n = tonumber(text)
  if n > 0 and n <= LARGEST then return n end
end

-- A tag's record is a generation, the moment of the tag's last invalidation, a space, and the latest stamp of the entries
-- that have the tag. One of another generation than its partition's is none.
local function moments(text, generation)
  if not text or sub(text, 1, 8) ~= generation then return nil end
  local at, latest = string.match(text, '^(%d+) (%d+)$', 9)
  at, latest = number(at), number(latest)
  if at and latest then return at, latest end
end

-- A generation never comes back, also when an operation is repeated later with the same ID: it depends on the time and
-- on the record before it.
local function mint()
  local hash = redis.sha1hex(id .. time[1] .. '.' .. time[2] .. (record or ''))
  generation = pack('>I4I4', tonumber(sub(hash, 1, 8), 16), tonumber(sub(hash, 9, 16), 16))
  sequence = sequence or 0
  minted = true
end

local function keep()
  redis.call('SET', rec, generation .. string.format('%.0f', sequence) .. floor)
end

-- The record comes first: where the message cannot be sent, a gap is left that is noticed, and not a number that is
-- given to two messages.
local function tell(what, name)
  if who == '' then
    if minted then keep() end
    return
  end
  sequence = sequence + 1
  keep()
  redis.call('PUBLISH', CHANNEL, generation .. sub(who, 1, 8) .. pack('>I8', sequence) .. sub(who, 9) .. what .. name)
end

-- A full Redis refuses the first write of a script, if it is one that may take memory, and none of those that follow.
-- These two change nothing: proceed is for what has to be done all the same, room for what may be refused.
local function proceed() redis.call('PERSIST', rec) end
local function room()
  local answer = redis.pcall('SETRANGE', rec, 0, '')
  if type(answer) == 'table' and answer.err then return answer end
end
