-- Ends a task that its worker executed.
--
-- ID EPOCH REVISION STATUS OUTCOME AHEAD LINGERS large(RESULT)
-- maybe(HISTORY) KEPT lines
--   -> {'done'} | {'terminal'} | {'fenced'} | {'missing'} | {'newer', format}
--      | {'lost'}

may_exceed_memory()
local id, epoch, revision, status, outcome = text(), number(), number(), number(), text()
local ahead, lingers, result = text() == '1', text() == '1', large()
local history, kept = maybe(), number()
local lines = read_lines()

local function decide()
  local task = load(id)
  if task and is_newer(task) then return newer(task) end
  local refused = refusal(task, epoch)
  if refused then return { refused } end
  if ahead then
    if task.ahead ~= epoch then return { 'missing' } end
  elseif is_lost(result) then
    return { 'lost' }
  end

  if status == COMPLETED and not ahead then put(base .. 'r:' .. id, result) end
  append(id, lines, kept)
  remember(id, history)
  local owner = task.owner
  task.revision = math.max(task.revision, revision)
  finish(task, status, status ~= COMPLETED and outcome or nil)
  if lingers then task.owner = owner end
  save(task)
  tell_task(id)
  if task.concurrency and not task.owner then tell_queued() end
  return { 'done' }
end

local decided = decide()
if decided[1] ~= 'done' then discard(result) end
return answer(decided)
