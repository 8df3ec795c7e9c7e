-- Keeps what the tasks of a session report, and renews its lease if it owns
-- anything.
--
-- SESSION BEATS LEASE KEPT REPORTS (ID EPOCH NUMBER REVISION PROGRESS maybe(HISTORY)
-- lines)*
--   -> (id, epoch, status, cancel)*

may_exceed_memory()
local session, beats, lease, kept = text(), text(), text(), number()

for _ = 1, number() do
  local id, epoch, report, revision, progress = text(), number(), number(), number(), text()
  local history, lines = maybe(), read_lines()
  local task = load(id)
  if task and not is_newer(task) and not refusal(task, epoch) and report > task.report then
    local before = task.revision
    task.report = report
    task.revision = math.max(before, revision)
    task.progress = progress
    save(task)
    remember(id, history)
    append(id, lines, kept)
    if task.revision > before then tell_task(id) end
  end
end

local owned = {}
local ids = redis.call('SMEMBERS', base .. 'o:' .. session)
for _, id in ipairs(ids) do
  local task = redis.call('HMGET', base .. 't:' .. id, 'format', 'epoch', 'status', 'cancel')
  if task[1] and tonumber(task[1]) <= known_format then
    owned[#owned + 1] = { id, task[2], task[3], task[4] }
  end
end
if #ids > 0 then renew(session, beats, lease) end
return answer(owned)
