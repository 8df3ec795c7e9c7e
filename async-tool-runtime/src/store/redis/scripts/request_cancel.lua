-- Asks a task to stop.
--
-- ID REASON
--   -> {'none'} | {'ended'} | {'requested'} | {'unchanged'} | {'newer', format}

may_exceed_memory()
local id, reason = text(), text()

local task = load(id)
if task and is_newer(task) then return newer(task) end
if not task or is_expired(task) then return { 'none' } end
if task.status == QUEUED then
  finish(task, CANCELLED, reason)
  save(task)
  tell_task(id)
  return answer({ 'ended' })
end
if task.status < COMPLETED and not task.cancel then
  task.cancel = reason
  task.revision = task.revision + 1
  save(task)
  tell_cancel(id)
  tell_task(id)
  return answer({ 'requested' })
end
return { 'unchanged' }
