-- Tells how much is in the namespace.
--
--   -> {now, running, records, notices,
--       {tool, queued, created}*, {session, `BEATS LEASE`, owned}*}

-- The first task of each tool's queue: its place and when it was created.
local first = {}
local function consider(id)
  local task = redis.call('HMGET', base .. 't:' .. id, 'tool', 'seq', 'created')
  if not task[1] then return end
  local seq, known = tonumber(task[2]), first[task[1]]
  if not known or seq < known.seq then first[task[1]] = { seq = seq, created = task[3] } end
end
-- These are in no lane.
for _, id in ipairs(redis.call('ZRANGE', base .. 'bo', 0, -1)) do consider(id) end

local queues, queued = {}, 0
local counts = redis.call('HGETALL', base .. 'qn')
for at = 1, #counts, 2 do
  local field, count = counts[at], tonumber(counts[at + 1])
  if string.sub(field, 1, 1) == '=' then
    local tool = string.sub(field, 2)
    local concurrency = redis.call('ZRANGE', base .. 'q:' .. tool, 0, 0)[1]
    local lane = concurrency and base .. 'w:' .. lane_of(tool, concurrency)
    local id = lane and redis.call('ZRANGE', lane, 0, 0)[1]
    if id then consider(id) end
    if first[tool] then queues[#queues + 1] = { tool, count, first[tool].created } end
    queued = queued + count
  end
end

local sessions = {}
local renewed = redis.call('HGETALL', base .. 'se')
for at = 1, #renewed, 2 do
  local owned = redis.call('SCARD', base .. 'o:' .. renewed[at])
  sessions[#sessions + 1] = { renewed[at], renewed[at + 1], owned }
end

return {
  int(now),
  redis.call('ZCARD', base .. 'live') - queued,
  redis.call('ZCARD', base .. 'la'),
  redis.call('ZCARD', base .. 'no'),
  queues,
  sessions,
}
