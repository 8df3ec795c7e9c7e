CREATE TABLE namespaces (
  ns INTEGER PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  name TEXT COLLATE "C" NOT NULL UNIQUE
);

-- The sum of a namespace's rows is how many tasks it has, so that nobody has
-- to count them. Each writer takes a row that no other one is writing to, and
-- adds one where there is none.
CREATE TABLE counters (
  counter BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  ns INTEGER NOT NULL,
  records BIGINT NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX counters_of ON counters (ns);

-- `seq` is the order of creation, and the place in the queue.
-- Status: 0 queued, 1 working, 2 input_required, 3 completed, 4 failed,
-- 5 cancelled. Times are milliseconds since 1970, on the server's clock. What
-- an UPDATE would have to copy each time though it never changes (arguments,
-- result) is elsewhere, and room is left in the pages, so that the row of a
-- task that reports stays in its page and in its places in the indexes.
--
-- `scope` is the principal: empty for nobody, `=` and the name for somebody.
-- `concurrency` has a text `LIMIT:KEY` for each key that the task needs.
-- `dedupe` is a digest of scope, tool and fingerprint.
CREATE SEQUENCE task_seq;
CREATE TABLE tasks (
  seq BIGINT PRIMARY KEY,
  ns INTEGER NOT NULL,
  id UUID NOT NULL,
  format INTEGER NOT NULL,
  status SMALLINT NOT NULL,
  keys INTEGER NOT NULL,
  epoch BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  report BIGINT NOT NULL,
  attempt BIGINT NOT NULL,
  max_attempts BIGINT NOT NULL,
  owner UUID,
  not_before BIGINT,
  created_at BIGINT NOT NULL,
  started_at BIGINT,
  finished_at BIGINT,
  expires_at BIGINT,
  deadline BIGINT NOT NULL,
  retention BIGINT NOT NULL,
  tool TEXT COLLATE "C" NOT NULL,
  scope TEXT COLLATE "C" NOT NULL,
  concurrency TEXT[] NOT NULL,
  dedupe BYTEA,
  cancel TEXT,
  progress TEXT,
  outcome TEXT
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_analyze_scale_factor = 0.02);

CREATE UNIQUE INDEX tasks_id ON tasks (id, ns);
CREATE INDEX tasks_queued ON tasks (ns, tool, seq) WHERE status = 0;
CREATE INDEX tasks_deadline ON tasks (ns, deadline) WHERE status = 0;
CREATE INDEX tasks_backoff ON tasks (ns, not_before) WHERE not_before IS NOT NULL;
CREATE INDEX tasks_expiry ON tasks (ns, expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX tasks_owner ON tasks (ns, owner) WHERE owner IS NOT NULL;
CREATE UNIQUE INDEX tasks_shared ON tasks (ns, dedupe)
  WHERE dedupe IS NOT NULL AND status < 3 AND cancel IS NULL;
CREATE INDEX tasks_listed ON tasks (ns, created_at, id);
CREATE INDEX tasks_of_principal ON tasks (ns, scope, created_at, id);
CREATE INDEX tasks_of_tool ON tasks (ns, tool, created_at, id);
-- What ended in one way may be rare among what ended in another. Written once,
-- at the end.
CREATE INDEX tasks_ended ON tasks (ns, scope, status, created_at, id) WHERE status >= 3;
CREATE INDEX tasks_failed ON tasks (ns, status, created_at, id) WHERE status > 3;

CREATE TABLE arguments (
  task BIGINT PRIMARY KEY,
  body TEXT NOT NULL
);

-- Of completed tasks; of others, what that epoch has put ahead.
CREATE TABLE results (
  task BIGINT PRIMARY KEY,
  epoch BIGINT NOT NULL,
  body TEXT NOT NULL
);

-- `name` is a digest of scope, tool and key.
CREATE TABLE keys (
  ns INTEGER NOT NULL,
  name BYTEA NOT NULL,
  task BIGINT NOT NULL,
  fingerprint BYTEA NOT NULL,
  PRIMARY KEY (ns, name)
);
CREATE INDEX keys_task ON keys (task);

CREATE TABLE steps (
  step BIGINT GENERATED ALWAYS AS IDENTITY,
  task BIGINT NOT NULL,
  digest BYTEA NOT NULL,
  name TEXT NOT NULL,
  result TEXT NOT NULL,
  PRIMARY KEY (task, digest)
);

CREATE TABLE log (
  task BIGINT NOT NULL,
  number BIGINT NOT NULL,
  at BIGINT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (task, number)
);

-- Exists while it owns tasks. `beats` changes with each renewal.
CREATE TABLE sessions (
  ns INTEGER NOT NULL,
  session UUID NOT NULL,
  beats BIGINT NOT NULL,
  lease BIGINT NOT NULL,
  PRIMARY KEY (ns, session)
) WITH (fillfactor = 50);

-- A task that is owned has a slot of each of its concurrency keys. Who looks
-- for a free one passes over those that others are about to take, and so waits
-- for nobody. `freed_at` is since when it is free.
CREATE TABLE slots (
  ns INTEGER NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  slot BIGINT NOT NULL,
  task BIGINT,
  freed_at BIGINT NOT NULL,
  PRIMARY KEY (ns, key, slot)
) WITH (fillfactor = 70);
CREATE INDEX slots_task ON slots (task) WHERE task IS NOT NULL;
CREATE INDEX slots_free ON slots (ns, freed_at) WHERE task IS NULL;

-- What `create_task` and `claim_tasks` answer with: a kind, a number, and the
-- columns of a record.
CREATE TYPE answer AS (
  kind SMALLINT,
  number BIGINT,
  format INTEGER,
  id UUID,
  status SMALLINT,
  epoch BIGINT,
  revision BIGINT,
  report BIGINT,
  attempt BIGINT,
  max_attempts BIGINT,
  owner UUID,
  not_before BIGINT,
  created_at BIGINT,
  started_at BIGINT,
  finished_at BIGINT,
  deadline BIGINT,
  retention BIGINT,
  tool TEXT,
  scope TEXT,
  concurrency TEXT[],
  cancel TEXT,
  progress TEXT,
  outcome TEXT,
  body TEXT
);
