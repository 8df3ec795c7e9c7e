-- What all scripts begin with: this, `queue.lua`, `transitions.lua` and
-- `indexes.lua`, one after the other.
--
-- KEYS[1]  what the names of all keys of the namespace begin with
-- ARGV[1]  the time in milliseconds; empty: this server's
-- ARGV[2]  the newest format of a record that the caller knows
--
-- The keys of a namespace, each after KEYS[1]:
--   t:ID        hash    a task; see FIELDS
--   a:ID        string  its arguments, until it ends
--   r:ID        string  its result, or what has been put ahead
--   s:ID        hash    its recorded steps, with answers: name -> `PLACE:RESULT`
--   l:ID        list    its last log lines: `NUMBER TIME TEXT`
--   i:ID        list    the k: of its idempotency keys
--   k:...       string  an idempotency key: task and fingerprint
--   p:...       string  a large value, until a script gives it its place
--   w:LANE      zset    queued tasks of a lane, by seq; see `queue.lua`
--   q:TOOL, qa  zset    lanes of a tool, of all, by the seq of their first task
--   qn          hash    how many are queued: `all`, and of each `=TOOL`
--   dl          zset    queued tasks, by deadline
--   bo          zset    queued tasks in back-off and in no lane, by its end
--   la, lo:SCOPE, lt:TOOL, live, bad
--               zset    all tasks, of an owner, of a tool, that have not ended,
--                       that ended without success; by creation
--   x           zset    ended tasks, by expiry; see `tomb`
--   no          zset    tasks with a notice that is not settled, by when it is due
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
-- Programs of an older version may share the server. They know none of the keys
-- and fields that came later, and go on with all tasks but those of a newer
-- format: so what they would have to keep true is counted from keys that they
-- know, and `no`, which has tasks of format 3 alone, may tell of some that they
-- have forgotten.
--
-- Lua's numbers are exact up to 2^53 and are written by `int` alone.

local base = KEYS[1]
local known_format = tonumber(ARGV[2])

local QUEUED, WORKING, INPUT_REQUIRED, COMPLETED, FAILED, CANCELLED = 0, 1, 2, 3, 4, 5

-- `questions` are what the attempts asked, as JSON, as long as there are any;
-- `asked` is when that last changed for clients. `origin` is JSON; `notice` is
-- the number of the notice, where there is to be one. Records of tasks that
-- somebody is to be told of are of format 3, of others that have asked of format
-- 2, all others of format 1, whoever writes them. `history`, which is long, is a
-- field that is not loaded.
local FIELDS = {
  'format', 'status', 'epoch', 'revision', 'report', 'attempt', 'max_attempts', 'owner',
  'not_before', 'created', 'started', 'finished', 'deadline', 'retention', 'tool', 'scope',
  'concurrency', 'cancel', 'progress', 'outcome', 'seq', 'dedupe', 'ahead',
  'questions', 'asked', 'origin', 'notice', 'notice_due', 'notice_state',
}
-- Those that are calculated with. `ahead` is an epoch that is only compared.
local NUMBERS = {
  format = 1, status = 1, epoch = 1, revision = 1, report = 1, attempt = 1, max_attempts = 1,
  not_before = 1, created = 1, started = 1, finished = 1, deadline = 1, retention = 1, seq = 1,
  ahead = 1, asked = 1, notice = 1, notice_due = 1,
}

local argument = 2
local function text()
  argument = argument + 1
  return ARGV[argument]
end
local function number()
  return tonumber(text())
end
-- Nil, or the text after `=`.
local function maybe()
  local value = text()
  return value ~= '' and string.sub(value, 2) or nil
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

-- For verbs without which memory would never be freed: once a script has
-- written, the server refuses it nothing for want of memory.
local function may_exceed_memory()
  redis.call('DEL', base .. 'none')
end

local function answer(reply)
  if #told > 0 then
    -- All is done by now, and changes may get lost.
    redis.pcall('PUBLISH', base .. 'changes', table.concat(told))
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

-- What Rust reads as a record: the fields, the id, a body and the history, if
-- there are any. A brief one has neither.
local function brief_row(task)
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
  values[#FIELDS + 3] = false
  return values
end
-- Where the body is large, its length instead.
local INLINE = 65536
local function row(task, body)
  local values = brief_row(task)
  values[#FIELDS + 3] = redis.call('HGET', base .. 't:' .. task.id, 'history')
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

