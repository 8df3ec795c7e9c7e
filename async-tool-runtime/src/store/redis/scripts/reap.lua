-- Cleans up, at most LIMIT tasks of each kind.
--
-- LIMIT UNSTORED INTERRUPTED LATE AGAIN DEAD (SESSION `BEATS LEASE`)*
--   -> {requeued, interrupted, expired, purged, ready, notices, more, next}
--
-- INTERRUPTED and LATE are outcomes, AGAIN is what a task shows that is queued
-- again, UNSTORED what a takeover adds to the revision. `next` is in how many
-- milliseconds the clock has come to the next moment, or empty.

may_exceed_memory()
local limit, unstored, interrupted, late, again =
  number(), number(), text(), text(), text()
local reaped = { {}, {}, {}, {} }
local more, may_start = false, false

local function take_over(task)
  local id = task.id
  task.epoch = task.epoch + 1
  may_start = may_start or task.concurrency ~= nil
  if task.status >= COMPLETED then
    task.owner = nil
    save(task)
    return
  end
  task.revision = task.revision + unstored
  if task.cancel then
    finish(task, CANCELLED, task.cancel)
    table.insert(reaped[2], id)
  elseif task.attempt < task.max_attempts then
    requeue(task)
    task.progress = again
    may_start = true
    table.insert(reaped[1], id)
  else
    finish(task, FAILED, interrupted)
    table.insert(reaped[2], id)
  end
  save(task)
  tell_task(id)
end

local function due(key, place)
  return redis.call('ZRANGEBYSCORE', base .. key, '-inf', int(now), 'LIMIT', place, 1)[1]
end

-- Places that are left to newer versions.
local skipped = 0
while #reaped[4] < limit do
  local member = due('x', skipped)
  if not member then break end
  local id, tool, scope = read_tomb(member)
  local task = load(id)
  if task and is_newer(task) then
    skipped = skipped + 1
  else
    may_start = may_start or (task and task.owner and task.concurrency) ~= nil
    purge(id, tool, scope, task)
    tell_task(id)
    table.insert(reaped[4], id)
  end
end

local left = limit
for _ = 1, number() do
  local session, seen = text(), text()
  -- It may have been renewed since somebody found it dead.
  if redis.call('HGET', base .. 'se', session) == seen then
    for _, id in ipairs(redis.call('SMEMBERS', base .. 'o:' .. session)) do
      local task = load(id)
      if task and not is_newer(task) then
        if left == 0 then
          more = true
          break
        end
        left = left - 1
        take_over(task)
      end
    end
  end
end

skipped = 0
while #reaped[3] < limit do
  local id = due('dl', skipped)
  if not id then break end
  local task = load(id)
  if task and not is_newer(task) then
    finish(task, FAILED, late)
    save(task)
    tell_task(id)
    table.insert(reaped[3], id)
  else
    skipped = skipped + 1
  end
end

if may_start then tell_queued() end

-- The first moment of an index that is not left to newer versions.
local next_moment
local function foresee(key, from)
  local place = 0
  while true do
    local found = redis.call(
      'ZRANGEBYSCORE', base .. key, from, '+inf', 'WITHSCORES', 'LIMIT', place, 1
    )
    if not found[1] then return end
    local format = redis.call('HGET', base .. 't:' .. string.sub(found[1], 1, 32), 'format')
    if not format or tonumber(format) <= known_format then
      local moment = tonumber(found[2])
      if not next_moment or moment < next_moment then next_moment = moment end
      return
    end
    place = place + 1
  end
end
foresee('dl', '-inf')
foresee('bo', '(' .. int(now))
foresee('x', '-inf')
foresee('no', '(' .. int(now))

let_in()
reaped[5] = is_any_ready() and 1 or 0
reaped[6] = #due_notices(1)
reaped[7] = more and 1 or 0
reaped[8] = next_moment and int(math.max(next_moment - now, 0)) or ''
return answer(reaped)
