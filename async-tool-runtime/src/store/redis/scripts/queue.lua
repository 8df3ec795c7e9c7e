-- The queue: what is ready, and what it waits for.
--
-- Tasks of a tool that need the same concurrency keys wait in one lane, since
-- they are ready or not together. A script that looks for what is ready looks
-- at lanes, in the order of their first tasks, and passes those that wait: a
-- thousand tasks that wait for one key cost as little as one.

local decoded = {}
local function needs(concurrency)
  if not concurrency or concurrency == '' then return {} end
  local list = decoded[concurrency]
  if not list then
    list = cjson.decode(concurrency)
    decoded[concurrency] = list
  end
  return list
end

-- How many tasks hold a key, those that this script is about to give included.
local held = {}
-- Nothing becomes free while a script looks for what is ready.
local full = {}
local function has_room(concurrency)
  if concurrency == '' then return true end
  if full[concurrency] then return false end
  -- What is known already says of most lanes that wait that they do.
  for _, need in ipairs(needs(concurrency)) do
    if held[need[1]] and held[need[1]] >= need[2] then
      full[concurrency] = true
      return false
    end
  end
  for _, need in ipairs(needs(concurrency)) do
    local key = need[1]
    if not held[key] then held[key] = redis.call('SCARD', base .. 'h:' .. key) end
    if held[key] >= need[2] then
      full[concurrency] = true
      return false
    end
  end
  return true
end
local function hold(concurrency)
  for _, need in ipairs(needs(concurrency)) do
    held[need[1]] = held[need[1]] + 1
  end
end

local function lane_of(tool, concurrency)
  return #tool .. ':' .. tool .. (concurrency or '')
end
local function concurrency_of(lane)
  local colon = string.find(lane, ':', 1, true)
  return string.sub(lane, colon + 1 + tonumber(string.sub(lane, 1, colon - 1)))
end

local function enter(task)
  local lane, seq = lane_of(task.tool, task.concurrency), int(task.seq)
  redis.call('ZADD', base .. 'w:' .. lane, seq, task.id)
  redis.call('ZADD', base .. 'q:' .. task.tool, 'LT', seq, task.concurrency or '')
  redis.call('ZADD', base .. 'qa', 'LT', seq, lane)
end

local function leave(task)
  local lane = lane_of(task.tool, task.concurrency)
  if redis.call('ZREM', base .. 'w:' .. lane, task.id) == 0 then return end
  local first = redis.call('ZRANGE', base .. 'w:' .. lane, 0, 0, 'WITHSCORES')
  if not first[1] then
    redis.call('ZREM', base .. 'q:' .. task.tool, task.concurrency or '')
    redis.call('ZREM', base .. 'qa', lane)
  elseif tonumber(first[2]) > task.seq then
    redis.call('ZADD', base .. 'q:' .. task.tool, first[2], task.concurrency or '')
    redis.call('ZADD', base .. 'qa', first[2], lane)
  end
end

local function count_queued(tool, by)
  for _, field in ipairs({ 'all', '=' .. tool }) do
    if redis.call('HINCRBY', base .. 'qn', field, by) == 0 then
      redis.call('HDEL', base .. 'qn', field)
    end
  end
end
local function queued_of(tool)
  return tonumber(redis.call('HGET', base .. 'qn', '=' .. tool) or 0)
end
local function queued_in_all()
  return tonumber(redis.call('HGET', base .. 'qn', 'all') or 0)
end

-- How many tasks of an owner are queued.
local function queued_of_owner(scope)
  return #redis.call('ZINTER', 2, base .. 'dl', base .. 'lo:' .. scope)
end

-- Lets those into their lanes whose back-off is over.
local function let_in()
  local skipped = 0
  while true do
    local id =
      redis.call('ZRANGEBYSCORE', base .. 'bo', '-inf', int(now), 'LIMIT', skipped, 1)[1]
    if not id then return end
    local task = load(id)
    if task and not is_newer(task) then
      redis.call('ZREM', base .. 'bo', id)
      enter(task)
    else
      skipped = skipped + 1
    end
  end
end

local function has_known(lane)
  local place = 0
  while true do
    local id = redis.call('ZRANGE', base .. 'w:' .. lane, place, place)[1]
    if not id then return false end
    local format = redis.call('HGET', base .. 't:' .. id, 'format')
    if format and tonumber(format) <= known_format then return true end
    place = place + 1
  end
end

-- After `let_in`.
local function is_any_ready()
  local from, batch = 0, 16
  while true do
    local lanes = redis.call('ZRANGE', base .. 'qa', from, from + batch - 1)
    for _, lane in ipairs(lanes) do
      if has_room(concurrency_of(lane)) and has_known(lane) then return true end
    end
    if #lanes < batch then return false end
    from, batch = from + batch, 1000
  end
end

-- Sessions.

local function renew(session, beats, lease)
  redis.call('HSET', base .. 'se', session, beats .. ' ' .. lease)
end

