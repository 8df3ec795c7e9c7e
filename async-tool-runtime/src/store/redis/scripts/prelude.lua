-- What all scripts begin with.
--
-- KEYS[1]  what the names of all keys of the namespace begin with
-- ARGV[1]  the time in milliseconds; empty: this server's
-- ARGV[2]  the newest format of a record that the caller knows
--
-- The keys of a namespace, each after KEYS[1]:
--   t:ID        hash    a task; see FIELDS
--   a:ID        string  its arguments, until it ends
--   r:ID        string  its result, or what has been put ahead
--   s:ID        hash    its recorded steps: name -> `PLACE:RESULT`
--   l:ID        list    its last log lines: `NUMBER TIME TEXT`
--   i:ID        list    the k: of its idempotency keys
--   k:...       string  an idempotency key: task and fingerprint
--   p:...       string  a large value, until a script gives it its place
--   q:TOOL, qa  zset    queued tasks, by seq; see `place`
--   dl          zset    queued tasks, by deadline
--   bo          zset    queued tasks in back-off, by its end
--   la, lo:SCOPE, lt:TOOL, live, bad
--               zset    all tasks, of an owner, of a tool, that have not ended,
--                       that ended without success; by creation
--   x           zset    ended tasks, by expiry; see `tomb`
--   sh          hash    tasks to join: tool, scope and fingerprint -> task
--   h:KEY       set     tasks that hold a concurrency key
--   o:SESSION   set     what a session owns
--   se          hash    sessions that own something -> `BEATS LEASE`
--   seq         string  number of the last task
--
-- A scope is `=PRINCIPAL`, or empty where there is none. A task that has ended
-- is expired by the server, with all that is only its own; what other keys say
-- of it is removed by `reap`, which needs nothing of the task for that.
--
-- Lua's numbers are exact up to 2^53 and are written by `int` alone.

local base = KEYS[1]
local known_format = tonumber(ARGV[2])

local QUEUED, WORKING, COMPLETED, FAILED, CANCELLED = 0, 1, 3, 4, 5

local FIELDS = {
  'format', 'status', 'epoch', 'revision', 'report', 'attempt', 'max_attempts', 'owner',
  'not_before', 'created', 'started', 'finished', 'deadline', 'retention', 'tool', 'scope',
  'concurrency', 'cancel', 'progress', 'outcome', 'seq', 'dedupe', 'ahead',
}
-- Those that are calculated with. `ahead` is an epoch that is only compared.
local NUMBERS = {
  format = 1, status = 1, epoch = 1, revision = 1, report = 1, attempt = 1, max_attempts = 1,
  not_before = 1, created = 1, started = 1, finished = 1, deadline = 1, retention = 1, seq = 1,
  ahead = 1,
}

local argument = 2
local function text()
  argument = argument + 1
  return ARGV[argument]
end
local function number()
  return tonumber(text())
end

local function int(value)
  return string.format('%.0f', value)
end

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Changes, as `encoding::change` writes them.
local told = {}
local function tell(kind, id)
  local bytes = string.rep('\0', 16)
  if id then
    bytes = string.gsub(id, '%x%x', function(hex) return string.char(tonumber(hex, 16)) end)
  end
  told[#told + 1] = string.char(kind) .. bytes
end
local function tell_task(id) tell(1, id) end
local function tell_cancel(id) tell(2, id) end
local function tell_queued() tell(3) end

local function answer(reply)
  if #told > 0 then
    redis.call('PUBLISH', base .. 'changes', table.concat(told))
  end
  return reply
end

-- A value that is given, or that waits in a key of its own.
local function large()
  return { staged = text() == 's', value = text() }
end
local function is_lost(value)
  return value.staged and redis.call('EXISTS', value.value) == 0
end
local function put(key, value)
  if value.staged then
    redis.call('RENAME', value.value, key)
    redis.call('PERSIST', key)
  else
    redis.call('SET', key, value.value)
  end
end
local function discard(value)
  if value.staged then redis.call('DEL', value.value) end
end

local function load(id)
  local values = redis.call('HMGET', base .. 't:' .. id, unpack(FIELDS))
  if not values[1] then return nil end
  local task, old = { id = id }, { id = id }
  for place, field in ipairs(FIELDS) do
    local value = values[place]
    if value then
      if NUMBERS[field] then value = tonumber(value) end
      task[field], old[field] = value, value
    end
  end
  task.old = old
  return task
end

local function is_newer(task)
  return task.format > known_format
end
local function newer(task)
  return { 'newer', int(task.format) }
end

local function expiry(task)
  return task.finished and task.finished + task.retention
end
local function is_expired(task)
  return task.finished ~= nil and expiry(task) <= now
end

-- What Rust reads as a record: the fields, the id, and a body if there is one;
-- where that is large, its length instead.
local INLINE = 65536
local function row(task, body)
  local values = {}
  for place, field in ipairs(FIELDS) do
    local value = task[field]
    if value == nil then
      values[place] = false
    elseif type(value) == 'number' then
      values[place] = int(value)
    else
      values[place] = value
    end
  end
  values[#FIELDS + 1] = task.id
  values[#FIELDS + 2] = false
  if body then
    local length = redis.call('STRLEN', base .. body .. task.id)
    if length > INLINE then
      values[#FIELDS + 2] = length
    else
      values[#FIELDS + 2] = redis.call('GET', base .. body .. task.id)
    end
  end
  return values
end
local function row_with_result(task)
  return row(task, task.status == COMPLETED and 'r:' or nil)
end

-- Concurrency keys.

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

-- The queue.

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

-- The state machine: `task/transition.rs` has the same functions.

local function become(task, status)
  task.status = status
  task.revision = task.revision + 1
end

local function give(task, session)
  become(task, WORKING)
  task.epoch = task.epoch + 1
  task.owner = session
  task.attempt = task.attempt + 1
  task.started = now
  task.not_before = nil
  task.report = 0
  task.progress = nil
  task.ahead = nil
end

-- False, or why it is not the epoch's to write.
local function refusal(task, epoch)
  if not task then return 'fenced' end
  if task.status >= COMPLETED then return 'terminal' end
  if task.epoch ~= epoch or not task.owner then return 'fenced' end
  return false
end

local function finish(task, status, outcome)
  become(task, status)
  task.owner = nil
  task.not_before = nil
  task.finished = math.max(now, task.created)
  task.progress = nil
  task.outcome = outcome
  task.ahead = nil
end

local function requeue(task)
  become(task, QUEUED)
  task.owner = nil
  task.not_before = nil
  task.progress = nil
end

-- What is kept of a change, and all that other keys say of the task.

-- An ended task, with what is needed to forget it.
local function tomb(id, tool, scope)
  return id .. '|' .. #tool .. '|' .. tool .. scope
end
local function read_tomb(member)
  local bar = string.find(member, '|', 34, true)
  local length = tonumber(string.sub(member, 34, bar - 1))
  local tool = string.sub(member, bar + 1, bar + length)
  return string.sub(member, 1, 32), tool, string.sub(member, bar + length + 1)
end

local function share(task)
  return #task.tool .. ':' .. task.tool .. #task.scope .. ':' .. task.scope .. task.dedupe
end
local function is_shared(task)
  return task.dedupe and task.status < COMPLETED and not task.cancel
end

local function disown(task)
  local owned = base .. 'o:' .. task.owner
  redis.call('SREM', owned, task.id)
  if redis.call('EXISTS', owned) == 0 then redis.call('HDEL', base .. 'se', task.owner) end
  for _, need in ipairs(needs(task.concurrency)) do
    redis.call('SREM', base .. 'h:' .. need[1], task.id)
  end
end

local function unqueue(task)
  redis.call('ZREM', base .. 'q:' .. task.tool, place(task))
  redis.call('ZREM', base .. 'qa', place(task))
  redis.call('ZREM', base .. 'dl', task.id)
  if task.not_before then redis.call('ZREM', base .. 'bo', task.id) end
end

local function index(task)
  local old, id = task.old, task.id
  if old.status == QUEUED and task.status ~= QUEUED then unqueue(old) end
  if task.status == QUEUED and old.status ~= QUEUED then
    redis.call('ZADD', base .. 'q:' .. task.tool, int(task.seq), place(task))
    redis.call('ZADD', base .. 'qa', int(task.seq), place(task))
    redis.call('ZADD', base .. 'dl', int(task.deadline), id)
    if task.not_before then redis.call('ZADD', base .. 'bo', int(task.not_before), id) end
  end
  if old.owner ~= task.owner then
    if old.owner then disown(old) end
    if task.owner then
      redis.call('SADD', base .. 'o:' .. task.owner, id)
      for _, need in ipairs(needs(task.concurrency)) do
        redis.call('SADD', base .. 'h:' .. need[1], id)
      end
    end
  end
  if old.status and is_shared(old) and not is_shared(task) then
    if redis.call('HGET', base .. 'sh', share(old)) == id then
      redis.call('HDEL', base .. 'sh', share(old))
    end
  end
  if old.ahead and not task.ahead and task.status ~= COMPLETED then
    redis.call('DEL', base .. 'r:' .. id)
  end
end

-- What expires with a task, besides its own hash.
local function expire_parts(task)
  local moment = int(expiry(task))
  for _, key in ipairs(redis.call('LRANGE', base .. 'i:' .. task.id, 0, -1)) do
    redis.call('PEXPIREAT', key, moment)
  end
  for _, part in ipairs({ 'r:', 'l:', 'i:' }) do
    redis.call('PEXPIREAT', base .. part .. task.id, moment)
  end
end

local function save(task)
  local old, id = task.old, task.id
  local set, gone = {}, {}
  for _, field in ipairs(FIELDS) do
    local value = task[field]
    if value ~= old[field] then
      if value == nil then
        gone[#gone + 1] = field
      else
        set[#set + 1] = field
        set[#set + 1] = type(value) == 'number' and int(value) or value
      end
    end
  end
  local key = base .. 't:' .. id
  -- First, since it needs memory: where there is none, nothing is changed.
  if #set > 0 then redis.call('HSET', key, unpack(set)) end
  if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
  index(task)
  if task.finished and not old.finished then
    -- Nobody runs it again.
    redis.call('DEL', base .. 'a:' .. id, base .. 's:' .. id)
    redis.call('ZREM', base .. 'live', id)
    if task.status ~= COMPLETED then
      redis.call('ZADD', base .. 'bad', int(task.created), id)
    end
    redis.call('ZADD', base .. 'x', int(expiry(task)), tomb(id, task.tool, task.scope))
    expire_parts(task)
  end
  -- Whoever owns an ended task holds keys that only the hash tells of.
  if task.finished and not task.owner and (not old.finished or old.owner) then
    redis.call('PEXPIREAT', key, int(expiry(task)))
  end
end

-- Forgets an ended task, whether or not the server has expired it already.
local function purge(id, tool, scope, task)
  for _, key in ipairs(redis.call('LRANGE', base .. 'i:' .. id, 0, -1)) do
    local value = redis.call('GET', key)
    if value and string.sub(value, 1, 32) == id then redis.call('DEL', key) end
  end
  if task and task.owner then disown(task) end
  for _, list in ipairs({ 'la', 'lo:' .. scope, 'lt:' .. tool, 'live', 'bad' }) do
    redis.call('ZREM', base .. list, id)
  end
  redis.call('ZREM', base .. 'x', tomb(id, tool, scope))
  redis.call(
    'DEL', base .. 't:' .. id, base .. 'a:' .. id, base .. 'r:' .. id, base .. 's:' .. id,
    base .. 'l:' .. id, base .. 'i:' .. id
  )
  if redis.call('EXISTS', base .. 'la') == 0 then redis.call('DEL', base .. 'seq') end
end

-- The rest of the arguments of some verbs: lines for a task's log. Each is
-- kept once, and the last KEPT of them.
local function read_lines()
  local lines = {}
  for place = 1, number() do
    lines[place] = { number = number(), text = text() }
  end
  return lines
end
local function append(id, lines, kept)
  if #lines == 0 then return end
  local key = base .. 'l:' .. id
  local last = -1
  local newest = redis.call('LINDEX', key, -1)
  if newest then last = tonumber(string.match(newest, '^%d+')) end
  for _, line in ipairs(lines) do
    if line.number > last then
      redis.call('RPUSH', key, line.text)
      last = line.number
    end
  end
  redis.call('LTRIM', key, -kept, -1)
end
