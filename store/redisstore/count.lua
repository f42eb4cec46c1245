-- The counter of the namespace, which lies in the first partition: the moment of the last invalidation of tags.
-- It never goes back, also where it was lost: it is no less than the server's microseconds then, and than what the caller
-- knows that it has been.
local function decimal(n) return string.format('%.0f', n) end

local function count(key, least, move)
  local before = number(redis.call('GET', key)) or 0
  local n = math.max(before, least)
  if move then n = n + 1 end
  if move or before == 0 then n = math.max(n, time[1] * 1000000 + time[2]) end
  if n ~= before then
    proceed()
    redis.call('SET', key, decimal(n))
  end
  return {n, before}
end
