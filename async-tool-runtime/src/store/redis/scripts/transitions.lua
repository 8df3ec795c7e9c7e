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

-- Something happened that is worth telling, if anybody wants to know.
local function announce(task)
  if not task.notice then return end
  task.notice = task.notice + 1
  task.notice_due = now
  task.notice_state = nil
end

local function finish(task, status, outcome)
  become(task, status)
  task.owner = nil
  task.not_before = nil
  task.finished = math.max(now, task.created)
  task.progress = nil
  task.questions = nil
  task.asked = nil
  task.outcome = outcome
  task.ahead = nil
  announce(task)
end

local function requeue(task)
  become(task, QUEUED)
  task.owner = nil
  task.not_before = nil
  task.progress = nil
end

-- What each attempt asked: lists of `key`, `message`, `schema` and `epoch`. An
-- empty list would be an object to cjson, and is not kept.
local function questions_of(task)
  return task.questions and cjson.decode(task.questions) or {}
end
local function keep_questions(task, questions)
  task.questions = #questions > 0 and cjson.encode(questions) or nil
end

local function ask(task, asked, kept)
  local again, own, others = {}, {}, {}
  for _, question in ipairs(asked) do again[question.key] = true end
  for _, question in ipairs(questions_of(task)) do
    if question.epoch == task.epoch then
      own[#own + 1] = question
    elseif not again[question.key] then
      others[#others + 1] = question
    end
  end
  local same = #own == #asked
  for place, question in ipairs(asked) do
    local known = same and own[place]
    same = known and known.key == question.key and known.message == question.message
      and known.schema == question.schema
  end
  if same then return end

  local questions = {}
  for place = math.max(#others + #asked - kept, 0) + 1, #others do
    questions[#questions + 1] = others[place]
  end
  for _, question in ipairs(asked) do questions[#questions + 1] = question end
  keep_questions(task, questions)
  task.asked = now
  task.format = math.max(task.format, 2)
  become(task, #asked > 0 and INPUT_REQUIRED or WORKING)
  if #asked > 0 then announce(task) end
end

-- Closes a question; whether it was open.
local function close(task, key)
  local left, waits, answered = {}, false, nil
  for _, question in ipairs(questions_of(task)) do
    if question.key == key then
      answered = question
    else
      left[#left + 1] = question
      waits = waits or question.epoch == task.epoch
    end
  end
  if not answered then return false end
  keep_questions(task, left)
  if task.status == INPUT_REQUIRED and answered.epoch == task.epoch then
    task.asked = now
    become(task, waits and INPUT_REQUIRED or WORKING)
  end
  return true
end

