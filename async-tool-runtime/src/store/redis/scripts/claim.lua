-- Gives queued tasks to a session: the oldest of all tools that are wanted.
--
-- SESSION BEATS LEASE LIMIT WANTS (TOOL ROOM)*
--   -> row*, with the arguments

may_exceed_memory()
local session, beats, lease, limit = text(), text(), text(), number()

-- Goes to the next task of a lane. False at its end.
local function advance(lane)
  local found = redis.call('ZRANGE', lane.key, lane.place, lane.place, 'WITHSCORES')
  lane.place = lane.place + 1
  lane.id, lane.seq = found[1], tonumber(found[2])
  return lane.id ~= nil
end

-- The next lane of a tool in the order of their first tasks: what it needs,
-- and its first task's place.
local function peek(want)
  if want.at > #want.lanes and not want.ended then
    want.lanes = redis.call(
      'ZRANGE', base .. 'q:' .. want.tool, want.from, want.from + want.batch - 1, 'WITHSCORES'
    )
    want.ended = #want.lanes < 2 * want.batch
    want.from, want.batch, want.at = want.from + want.batch, 1000, 1
  end
  return want.lanes[want.at], tonumber(want.lanes[want.at + 1])
end

-- The lane of the oldest task of a tool that is ready.
local function oldest_of(want)
  while true do
    local oldest
    for place = #want.open, 1, -1 do
      local lane = want.open[place]
      if not lane.id or not has_room(lane.concurrency) then
        table.remove(want.open, place)
      elseif not oldest or lane.seq < oldest.seq then
        oldest = lane
      end
    end
    local concurrency, first = peek(want)
    if not concurrency or (oldest and oldest.seq < first) then return oldest end
    want.at = want.at + 2
    if has_room(concurrency) then
      local key = base .. 'w:' .. lane_of(want.tool, concurrency)
      local lane = { concurrency = concurrency, key = key, place = 0 }
      if advance(lane) then table.insert(want.open, lane) end
    end
  end
end

let_in()
local wants = {}
for place = 1, number() do
  wants[place] = {
    tool = text(), room = number(), open = {},
    lanes = {}, at = 1, from = 0, batch = 16, ended = false,
  }
end

-- Nothing is changed before all are found.
local picked, claimed = {}, {}
while #claimed < limit do
  local oldest, of
  for _, want in ipairs(wants) do
    local lane = want.room > 0 and oldest_of(want)
    if lane and (not oldest or lane.seq < oldest.seq) then oldest, of = lane, want end
  end
  if not oldest then break end
  local task = not picked[oldest.id] and load(oldest.id)
  if task and not is_newer(task) then
    picked[oldest.id] = true
    hold(oldest.concurrency)
    claimed[#claimed + 1] = task
    of.room = of.room - 1
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
