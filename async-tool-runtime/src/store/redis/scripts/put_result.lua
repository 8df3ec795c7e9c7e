-- Keeps a large result until its task is finished.
--
-- ID EPOCH large(RESULT)
--   -> {'done'} | {'terminal'} | {'fenced'} | {'newer', format} | {'lost'}

local id, epoch, result = text(), number(), large()

local function decide()
  local task = load(id)
  if task and is_newer(task) then return newer(task) end
  local refused = refusal(task, epoch)
  if refused then return { refused } end
  if is_lost(result) then return { 'lost' } end
  put(base .. 'r:' .. id, result)
  task.ahead = epoch
  save(task)
  return { 'done' }
end

local decided = decide()
if decided[1] ~= 'done' then discard(result) end
return answer(decided)
