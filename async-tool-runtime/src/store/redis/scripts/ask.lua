-- Says what an attempt waits for. ANSWER is what the names of answers begin
-- with among the recorded steps.
--
-- ID EPOCH REVISION KEPT ANSWER QUESTIONS (KEY MESSAGE SCHEMA)*
--   -> {'done'} | {'terminal'} | {'fenced'} | {'newer', format}

local id, epoch, revision, kept, prefix = text(), number(), number(), number(), text()

local task = load(id)
if task and is_newer(task) then return newer(task) end
local refused = refusal(task, epoch)
if refused then return { refused } end
local asked = {}
for _ = 1, number() do
  local key, message, schema = text(), text(), text()
  if redis.call('HEXISTS', base .. 's:' .. id, prefix .. key) == 0 then
    asked[#asked + 1] = { key = key, message = message, schema = schema, epoch = epoch }
  end
end
local before = task.revision
task.revision = math.max(before, revision)
ask(task, asked, kept)
save(task)
if task.revision > before then tell_task(id) end
return answer({ 'done' })
