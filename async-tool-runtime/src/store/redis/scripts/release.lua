-- Gives up what a session owns of a task.
--
-- ID EPOCH KIND PAUSE PROGRESS REVISION maybe(HISTORY) KEPT lines
--   -> {'done'} | {'terminal'} | {'fenced'} | {'newer', format}
--
-- KIND is `stopped`, `unstarted` or `retry`; PROGRESS is what is shown while
-- the next attempt is waited for.

may_exceed_memory()
local id, epoch, kind, pause = text(), number(), text(), number()
local progress, revision, history, kept = text(), number(), maybe(), number()
local lines = read_lines()

local task = load(id)
if task and is_newer(task) then return newer(task) end
if kind == 'stopped' then
  local lingers = task and task.status >= COMPLETED and task.owner
  if not lingers or task.epoch ~= epoch then return { 'fenced' } end
  task.owner = nil
else
  local refused = refusal(task, epoch)
  if refused then return { refused } end
  append(id, lines, kept)
  remember(id, history)
  if kind == 'retry' then
    task.revision = math.max(task.revision, revision)
  else
    -- As if it had not been claimed.
    task.attempt = task.attempt - 1
    task.started = nil
  end
  if task.cancel then
    local reason = task.cancel
    task.cancel = nil
    finish(task, CANCELLED, reason)
  else
    requeue(task)
    if kind == 'retry' then
      -- Without a pause no clock has to come to a moment.
      if pause > 0 then task.not_before = now + pause end
      task.progress = progress
    end
  end
end
save(task)
tell_task(id)
tell_queued()
return answer({ 'done' })
