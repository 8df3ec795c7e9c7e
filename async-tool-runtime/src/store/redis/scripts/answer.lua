-- Answers a question: records the step that is the answer, once.
--
-- ID KEY NAME RESULT
--   -> {'none'} | {'recorded'} | {'before', result} | {'unasked'} | {'ended'}
--      | {'newer', format}

local id, key, name, result = text(), text(), text(), text()

local task = load(id)
if task and is_newer(task) then return newer(task) end
if not task or is_expired(task) then return { 'none' } end
if task.status >= COMPLETED then return { 'ended' } end
local steps = base .. 's:' .. id
local known = redis.call('HGET', steps, name)
if known then
  return { 'before', string.sub(known, string.find(known, ':', 1, true) + 1) }
end
if not close(task, key) then return { 'unasked' } end
redis.call('HSET', steps, name, redis.call('HLEN', steps) .. ':' .. result)
save(task)
tell_task(id)
return answer({ 'recorded' })
