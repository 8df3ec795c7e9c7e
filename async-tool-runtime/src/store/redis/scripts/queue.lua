-- The queue: what is ready, and what it waits for.

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

-- All that tells whether a queued task is ready.
local function place(task)
  local pause = task.not_before and int(task.not_before) or ''
  return task.id .. pause .. '|' .. (task.concurrency or '')
end
local function read_place(member)
  local bar = string.find(member, '|', 33, true)
  local pause = tonumber(string.sub(member, 33, bar - 1))
  local concurrency = string.sub(member, bar + 1)
  local id = string.sub(member, 1, 32)
  return id, (not pause or pause <= now) and has_room(concurrency), concurrency
end

local function is_known(id)
  local format = redis.call('HGET', base .. 't:' .. id, 'format')
  return format and tonumber(format) <= known_format
end

local function is_any_ready()
  local from, batch = 0, 16
  while true do
    local members = redis.call('ZRANGE', base .. 'qa', from, from + batch - 1)
    for _, member in ipairs(members) do
      local id, ready = read_place(member)
      if ready and is_known(id) then return true end
    end
    if #members < batch then return false end
    from, batch = from + batch, 1000
  end
end

-- Sessions.

local function renew(session, beats, lease)
  redis.call('HSET', base .. 'se', session, beats .. ' ' .. lease)
end

