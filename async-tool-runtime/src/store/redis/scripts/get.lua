-- Reads a task.
--
-- ID -> {'none'} | {'found', row} | {'newer', format}

local task = load(text())
if task and is_newer(task) then return newer(task) end
if not task or is_expired(task) then return { 'none' } end
return { 'found', row_with_result(task) }
