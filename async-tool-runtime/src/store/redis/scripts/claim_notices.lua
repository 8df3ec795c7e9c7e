-- Gives notices that are due to the caller.
--
-- PAUSE LIMIT
--   -> row*, with the result

may_exceed_memory()
local pause, limit = number(), number()

local rows = {}
for place, task in ipairs(due_notices(limit)) do
  task.notice_due = now + pause
  save(task)
  rows[place] = row_with_result(task)
end
return answer(rows)
