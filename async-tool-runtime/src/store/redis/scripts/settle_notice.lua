-- Keeps what came of telling a notice.
--
-- ID NUMBER DUE STATE AGAIN
--   -> {'settled'} | {'stale'} | {'newer', format}
--
-- AGAIN is in how many milliseconds there is another try, or empty.

may_exceed_memory()
local id, notice, due, state, again = text(), number(), number(), text(), number()

local task = load(id)
if task and is_newer(task) then return newer(task) end
if not task or is_expired(task) or task.notice ~= notice or task.notice_due ~= due then
  return { 'stale' }
end
task.notice_state = state
task.notice_due = again and now + again
save(task)
return answer({ 'settled' })
