-- `records` is how many tasks there are, so that nobody has to count them.
CREATE TABLE namespaces (
  ns INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  records INTEGER NOT NULL DEFAULT 0
) STRICT;

-- `concurrency` is `[["key",limit],…]`. `seq` is the order of creation, and the place in the queue.
-- Status: 0 queued, 1 working, 2 input_required, 3 completed, 4 failed,
-- 5 cancelled. Times are milliseconds since 1970. What an UPDATE would have to
-- rewrite each time though it never changes (arguments, result) is elsewhere.
CREATE TABLE tasks (
  seq INTEGER PRIMARY KEY,
  ns INTEGER NOT NULL,
  id BLOB NOT NULL,
  format INTEGER NOT NULL,
  status INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  report INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  max_attempts INTEGER NOT NULL,
  owner BLOB,
  not_before INTEGER,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  expires_at INTEGER,
  deadline INTEGER NOT NULL,
  retention INTEGER NOT NULL,
  keys INTEGER NOT NULL,
  tool TEXT NOT NULL,
  principal TEXT,
  concurrency TEXT,
  dedupe BLOB,
  cancel TEXT,
  progress TEXT,
  outcome TEXT
) STRICT;

CREATE UNIQUE INDEX tasks_id ON tasks (id, ns);
CREATE INDEX tasks_queued ON tasks (ns, tool) WHERE status = 0;
CREATE INDEX tasks_deadline ON tasks (ns, deadline) WHERE status = 0;
CREATE INDEX tasks_backoff ON tasks (ns, not_before) WHERE not_before IS NOT NULL;
CREATE INDEX tasks_expiry ON tasks (ns, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX tasks_owner ON tasks (ns, owner) WHERE owner IS NOT NULL;
CREATE INDEX tasks_shared ON tasks (ns, tool, dedupe)
  WHERE dedupe IS NOT NULL AND status < 3 AND cancel IS NULL;
CREATE INDEX tasks_listed ON tasks (ns, created_at, id);
CREATE INDEX tasks_of_principal ON tasks (ns, principal, created_at, id);
CREATE INDEX tasks_of_tool ON tasks (ns, tool, created_at, id);
-- What ended in one way may be rare among what ended in another. Written once,
-- at the end.
CREATE INDEX tasks_ended ON tasks (ns, principal, status, created_at, id)
  WHERE status >= 3;
CREATE INDEX tasks_failed ON tasks (ns, status, created_at, id) WHERE status > 3;

-- The concurrency keys that owned tasks hold.
CREATE TABLE holders (
  ns INTEGER NOT NULL,
  key TEXT NOT NULL,
  task INTEGER NOT NULL,
  PRIMARY KEY (ns, key, task)
) STRICT, WITHOUT ROWID;

CREATE TABLE arguments (
  task INTEGER PRIMARY KEY,
  body TEXT NOT NULL
) STRICT;

-- Of completed tasks; of others, what that epoch has put ahead.
CREATE TABLE results (
  task INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;

-- `scope` is the principal, see `rows::scope`.
CREATE TABLE keys (
  ns INTEGER NOT NULL,
  tool TEXT NOT NULL,
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  task INTEGER NOT NULL,
  fingerprint BLOB NOT NULL,
  PRIMARY KEY (ns, tool, scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_task ON keys (task);

CREATE TABLE steps (
  step INTEGER PRIMARY KEY,
  task INTEGER NOT NULL,
  name TEXT NOT NULL,
  result TEXT NOT NULL,
  UNIQUE (task, name)
) STRICT;

CREATE TABLE log (
  task INTEGER NOT NULL,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (task, number)
) STRICT, WITHOUT ROWID;

-- Exists while it owns tasks. `beats` changes with each renewal.
CREATE TABLE sessions (
  ns INTEGER NOT NULL,
  session BLOB NOT NULL,
  beats INTEGER NOT NULL,
  lease INTEGER NOT NULL,
  PRIMARY KEY (ns, session)
) STRICT, WITHOUT ROWID;

-- How many tasks are queued, so that nobody has to count them.
CREATE TABLE queues (
  ns INTEGER NOT NULL,
  tool TEXT NOT NULL,
  queued INTEGER NOT NULL,
  PRIMARY KEY (ns, tool)
) STRICT, WITHOUT ROWID;

-- What the last commits changed, for the other processes on this file; see
-- `changes.rs`.
CREATE TABLE changes (
  seq INTEGER PRIMARY KEY,
  ns INTEGER NOT NULL,
  what BLOB NOT NULL
) STRICT;
