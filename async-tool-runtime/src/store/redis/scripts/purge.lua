-- Deletes an ended task before its retention is over.
--
-- ID -> {'none'} | {'unended'} | {'used'} | {'gone'} | {'newer', format}

local id = text()

local task = load(id)
if task and is_newer(task) then return newer(task) end
if not task or is_expired(task) then return { 'none' } end
if task.status < COMPLETED then return { 'unended' } end
if task.owner or task.notice_due then return { 'used' } end
purge(id, task.tool, task.scope, task)
tell_task(id)
return answer({ 'gone' })
