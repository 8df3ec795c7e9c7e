-- Accepts a task, or finds the one that is meant.
--
-- ID TOOL SCOPE large(ARGUMENTS) KEYED KEY FINGERPRINT DEDUPE CONCURRENCY
-- MAX_ATTEMPTS MAX_WAIT RETENTION NOTIFY maybe(ORIGIN) TOOL_QUEUE QUEUE
-- OWNER_QUEUE MAX_RECORDS MAX_KEYS SESSION BEATS LEASE
--   -> {'new' | 'existing', row} | {'conflict', id} | {'full', limit}
--      | {'newer', format} | {'lost'}
--
-- OWNER_QUEUE may be empty.

local id, tool, scope, arguments = text(), text(), text(), large()
local keyed, name, fingerprint, dedupe = text() == '1', text(), text(), text()
local concurrency, max_attempts, max_wait, retention = text(), number(), number(), number()
local notify, origin = text() == '1', maybe()
local tool_queue, queue, owner_queue = number(), number(), number()
local max_records, max_keys = number(), number()
local session, beats, lease = text(), text(), text()

local key = base .. 'k:' .. #tool .. ':' .. tool .. #scope .. ':' .. scope .. name
local function add_key(to)
  if keyed then
    redis.call('SET', key, to .. fingerprint)
    redis.call('RPUSH', base .. 'i:' .. to, key)
  end
end

local function decide()
  -- The same call once more: whoever made it was not told what became of it.
  local same = load(id)
  if same then
    if is_newer(same) then return newer(same) end
    return { 'existing', row_with_result(same) }
  end

  local found = keyed and redis.call('GET', key)
  if found then
    local named = string.sub(found, 1, 32)
    local task = load(named)
    if task and is_newer(task) then return newer(task) end
    if not task or is_expired(task) then
      purge(named, tool, scope, task)
      redis.call('DEL', key)
    elseif string.sub(found, 33) == fingerprint then
      return { 'existing', row_with_result(task) }
    else
      return { 'conflict', named }
    end
  end

  local new = {
    id = id, old = { id = id }, format = 1, status = QUEUED, epoch = 0, revision = 1,
    report = 0, attempt = 0, max_attempts = max_attempts, created = now,
    deadline = now + max_wait, retention = retention, tool = tool, scope = scope,
    origin = origin,
  }
  if notify then new.format, new.notice = 3, 0 end
  if concurrency ~= '' then new.concurrency = concurrency end
  if dedupe ~= '' then new.dedupe = dedupe end

  local equal = new.dedupe and redis.call('HGET', base .. 'sh', share(new))
  local task = equal and load(equal)
  -- Whoever notices first ends one that is late.
  if task and not is_newer(task) and not (task.status == QUEUED and task.deadline <= now) then
    if keyed then
      if redis.call('LLEN', base .. 'i:' .. equal) >= max_keys then
        return { 'full', 'keys' }
      end
      add_key(equal)
    end
    return { 'existing', row(task) }
  end

  if redis.call('ZCARD', base .. 'la') >= max_records then return { 'full', 'records' } end
  local claims = false
  if session ~= '' and has_room(concurrency) then
    let_in()
    claims = not is_any_ready()
  end
  if not claims and owner_queue and scope ~= '' and queued_in_all() >= owner_queue
    and queued_of_owner(scope) >= owner_queue
  then
    return { 'full', 'owner' }
  end
  if not claims then
    local waiting = queued_of(tool)
    if session == '' or waiting > 0 then
      if waiting >= tool_queue then return { 'full', 'tool' } end
      if queued_in_all() >= queue then return { 'full', 'queue' } end
    end
  end
  if is_lost(arguments) then return { 'lost' } end

  put(base .. 'a:' .. id, arguments)
  new.seq = redis.call('INCR', base .. 'seq')
  if claims then
    give(new, session)
  else
    tell_queued()
  end
  save(new)
  if claims then renew(session, beats, lease) end
  if dedupe ~= '' then redis.call('HSET', base .. 'sh', share(new), id) end
  add_key(id)
  for _, list in ipairs({ 'la', 'lo:' .. scope, 'lt:' .. tool, 'live' }) do
    redis.call('ZADD', base .. list, int(now), id)
  end
  return { 'new', row(new) }
end

local decided = decide()
if decided[1] ~= 'new' then discard(arguments) end
return answer(decided)
