-- Records the result of a step, once.
--
-- ID EPOCH NAME RESULT
--   -> {'done'} | {'terminal'} | {'fenced'} | {'newer', format}

local id, epoch, name, result = text(), number(), text(), text()

local task = load(id)
if task and is_newer(task) then return newer(task) end
local refused = refusal(task, epoch)
if refused then return { refused } end
local steps = base .. 's:' .. id
redis.call('HSETNX', steps, name, redis.call('HLEN', steps) .. ':' .. result)
return { 'done' }
