-- What is kept of the call that made a task (JSON), what is to be told of it, and
-- what its attempts did. Behind all other columns: rows of tasks without them are
-- as they were.
ALTER TABLE tasks ADD COLUMN origin TEXT;
-- The notice's number; NULL where nobody is to be told. Records that have one are
-- of format 3.
ALTER TABLE tasks ADD COLUMN notice INTEGER;
ALTER TABLE tasks ADD COLUMN notice_due INTEGER;
ALTER TABLE tasks ADD COLUMN notice_state TEXT;
ALTER TABLE tasks ADD COLUMN history TEXT;

CREATE INDEX tasks_notices ON tasks (ns, notice_due, id) WHERE notice_due IS NOT NULL;
CREATE INDEX tasks_queued_of ON tasks (ns, principal)
  WHERE status = 0 AND principal IS NOT NULL;
