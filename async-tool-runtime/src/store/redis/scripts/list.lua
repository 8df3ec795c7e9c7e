-- Lists tasks, newest first, by the smallest of the lists that have all that
-- is asked for.
--
-- OWNED SCOPE TOOLED TOOL STATUS LIMIT BUDGET AFTER AFTER_ID
--   -> {brief_row*}, {created, id} if there may be more: the last task looked at
--
-- STATUS and AFTER may be empty. No more than BUDGET tasks are looked at, or
-- a few more where several were created at once.

local owned, scope, tooled, tool = text() == '1', text(), text() == '1', text()
local status, limit, budget, after, after_id = number(), number(), number(), number(), text()

local list = 'la'
local function consider(other)
  if redis.call('ZCARD', base .. other) < redis.call('ZCARD', base .. list) then list = other end
end
if owned then consider('lo:' .. scope) end
if tooled then consider('lt:' .. tool) end
if status and status < COMPLETED then consider('live') end
if status and status > COMPLETED then consider('bad') end
local key = base .. list

local rows, looked, last = {}, 0, nil
-- Whether to go on.
local function look(id, created)
  if #rows >= limit or looked >= budget then return false end
  looked = looked + 1
  last = { created, id }
  local task = load(id)
  if task and not is_newer(task) and not is_expired(task)
    and (not owned or task.scope == scope)
    and (not tooled or task.tool == tool)
    and (not status or task.status == status)
  then
    rows[#rows + 1] = brief_row(task)
  end
  return true
end

local from = '+inf'
if after then
  from = '(' .. int(after)
  -- Those of the same moment, of which there are few.
  local same = redis.call('ZREVRANGEBYSCORE', key, int(after), int(after))
  for _, id in ipairs(same) do
    if id < after_id and not look(id, int(after)) then return { rows, last } end
  end
end
local offset = 0
while true do
  local batch = math.min(budget, 100)
  local found =
    redis.call('ZREVRANGEBYSCORE', key, from, '-inf', 'WITHSCORES', 'LIMIT', offset, batch)
  for at = 1, #found, 2 do
    if not look(found[at], found[at + 1]) then return { rows, last } end
  end
  if #found < 2 * batch then return { rows, false } end
  offset = offset + batch
end
