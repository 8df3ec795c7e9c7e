-- What is kept of the call that made a task (JSON), what is to be told of it, and
-- what its attempts did. `notice` is the notice's number; NULL where nobody is to
-- be told. Records that have one are of format 3.
ALTER TABLE tasks ADD COLUMN origin TEXT, ADD COLUMN notice BIGINT, ADD COLUMN notice_due BIGINT,
  ADD COLUMN notice_state TEXT, ADD COLUMN history TEXT;

CREATE INDEX tasks_notices ON tasks (ns, notice_due, id) WHERE notice_due IS NOT NULL;
CREATE INDEX tasks_queued_of ON tasks (ns, scope) WHERE status = 0 AND scope <> '';

-- A task as it is now, and its result: calls of this within a statement see what
-- the statement did before.
CREATE FUNCTION task_now(p_ns INTEGER, p_id UUID) RETURNS TABLE (t tasks, body TEXT)
LANGUAGE plpgsql VOLATILE STRICT ROWS 1 SET search_path FROM CURRENT AS $$
BEGIN
  RETURN QUERY SELECT k, r.body FROM tasks k
    LEFT JOIN results r ON r.task = k.seq AND k.status = 3 WHERE k.id = p_id AND k.ns = p_ns;
END
$$;
