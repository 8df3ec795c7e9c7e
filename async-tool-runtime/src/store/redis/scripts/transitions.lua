-- The state machine: `task/transition.rs` has the same functions.

local function become(task, status)
  task.status = status
  task.revision = task.revision + 1
end

local function give(task, session)
  become(task, WORKING)
  task.epoch = task.epoch + 1
  task.owner = session
  task.attempt = task.attempt + 1
  task.started = now
  task.not_before = nil
  task.report = 0
  task.progress = nil
  task.ahead = nil
end

-- False, or why it is not the epoch's to write.
local function refusal(task, epoch)
  if not task then return 'fenced' end
  if task.status >= COMPLETED then return 'terminal' end
  if task.epoch ~= epoch or not task.owner then return 'fenced' end
  return false
end

local function finish(task, status, outcome)
  become(task, status)
  task.owner = nil
  task.not_before = nil
  task.finished = math.max(now, task.created)
  task.progress = nil
  task.outcome = outcome
  task.ahead = nil
end

local function requeue(task)
  become(task, QUEUED)
  task.owner = nil
  task.not_before = nil
  task.progress = nil
end

