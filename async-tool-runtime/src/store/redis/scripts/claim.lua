-- Gives queued tasks to a session: the oldest of all tools that are wanted.
--
-- SESSION BEATS LEASE LIMIT WANTS (TOOL ROOM)*
--   -> row*, with the arguments

local session, beats, lease, limit = text(), text(), text(), number()

-- Looks through the queue of a tool, in which nothing is changed meanwhile.
local function advance(want)
  want.head = nil
  while want.room > 0 do
    if want.at > #want.members then
      if want.ended then return end
      want.members = redis.call(
        'ZRANGE', base .. 'q:' .. want.tool, want.from, want.from + want.batch - 1, 'WITHSCORES'
      )
      want.ended = #want.members < 2 * want.batch
      want.from, want.batch, want.at = want.from + want.batch, 1000, 1
    else
      local id, ready, concurrency = read_place(want.members[want.at])
      local seq = tonumber(want.members[want.at + 1])
      want.at = want.at + 2
      if ready then
        want.head = { id = id, seq = seq, concurrency = concurrency }
        return
      end
    end
  end
end

local wants = {}
for place = 1, number() do
  wants[place] = {
    tool = text(), room = number(), members = {}, at = 1, from = 0, batch = 16, ended = false,
  }
  if limit > 0 then advance(wants[place]) end
end

local picked, claimed = {}, {}
while #claimed < limit do
  local oldest
  for _, want in ipairs(wants) do
    if want.head and (not oldest or want.head.seq < oldest.head.seq) then oldest = want end
  end
  if not oldest then break end
  local head = oldest.head
  -- A claim of this round may have taken one of its concurrency keys.
  if not picked[head.id] and has_room(head.concurrency) then
    local task = load(head.id)
    if task and not is_newer(task) then
      picked[head.id] = true
      hold(head.concurrency)
      claimed[#claimed + 1] = task
      oldest.room = oldest.room - 1
    end
  end
  advance(oldest)
end

local rows = {}
for place, task in ipairs(claimed) do
  give(task, session)
  save(task)
  tell_task(task.id)
  rows[place] = row(task, 'a:')
end
if #claimed > 0 then renew(session, beats, lease) end
return answer(rows)
