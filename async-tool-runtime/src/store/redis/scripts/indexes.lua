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

local function queue(task)
  count_queued(task.tool, 1)
  redis.call('ZADD', base .. 'dl', int(task.deadline), task.id)
  if task.not_before and task.not_before > now then
    redis.call('ZADD', base .. 'bo', int(task.not_before), task.id)
  else
    enter(task)
  end
end
local function unqueue(task)
  count_queued(task.tool, -1)
  redis.call('ZREM', base .. 'dl', task.id)
  if task.not_before then redis.call('ZREM', base .. 'bo', task.id) end
  leave(task)
end

local function index(task)
  local old, id = task.old, task.id
  if old.status == QUEUED and task.status ~= QUEUED then unqueue(old) end
  if task.status == QUEUED and old.status ~= QUEUED then queue(task) end
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
  if old.notice_due ~= task.notice_due then
    if task.notice_due then
      redis.call('ZADD', base .. 'no', int(task.notice_due), id)
    else
      redis.call('ZREM', base .. 'no', id)
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

local function remember(id, history)
  if history then redis.call('HSET', base .. 't:' .. id, 'history', history) end
end

-- The tasks whose notices are due, the longest due first, at most LIMIT. What
-- tells of tasks that are gone is removed.
local function due_notices(limit)
  local tasks, passed = {}, 0
  while #tasks < limit do
    local id =
      redis.call('ZRANGEBYSCORE', base .. 'no', '-inf', int(now), 'LIMIT', passed, 1)[1]
    if not id then break end
    local task = load(id)
    if task then
      passed = passed + 1
      if not is_newer(task) and not is_expired(task) then tasks[#tasks + 1] = task end
    else
      redis.call('ZREM', base .. 'no', id)
    end
  end
  return tasks
end

-- Forgets an ended task, whether or not the server has expired it already.
local function purge(id, tool, scope, task)
  for _, key in ipairs(redis.call('LRANGE', base .. 'i:' .. id, 0, -1)) do
    local value = redis.call('GET', key)
    if value and string.sub(value, 1, 32) == id then redis.call('DEL', key) end
  end
  if task and task.owner then disown(task) end
  for _, list in ipairs({ 'la', 'lo:' .. scope, 'lt:' .. tool, 'live', 'bad', 'no' }) do
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

