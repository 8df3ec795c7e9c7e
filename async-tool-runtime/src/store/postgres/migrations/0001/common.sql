-- What the verbs share. All of them lock in one order: tasks, slots, sessions;
-- whoever takes many of one kind passes over those that are locked.

CREATE FUNCTION now_ms() RETURNS BIGINT LANGUAGE sql VOLATILE AS $$
  SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- A moment and a while, as far as numbers go.
CREATE FUNCTION later(p_moment BIGINT, p_while BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_while > 9223372036854775807 - p_moment THEN 9223372036854775807
    ELSE p_moment + p_while END
$$;

-- What the verb has written may be lost with the last moments before a power
-- cut.
CREATE FUNCTION need_not_be_durable() RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
END
$$;

-- Refuses what a newer version wrote.
CREATE FUNCTION check_format(p_format INTEGER, p_known INTEGER) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  IF p_format > p_known THEN
    RAISE EXCEPTION USING ERRCODE = 'AT001', MESSAGE = p_format::text;
  END IF;
END
$$;

CREATE FUNCTION open_namespace(p_name TEXT) RETURNS INTEGER LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
  v_ns INTEGER;
BEGIN
  LOOP
    SELECT n.ns INTO v_ns FROM namespaces n WHERE n.name = p_name;
    IF FOUND THEN
      RETURN v_ns;
    END IF;
    INSERT INTO namespaces (name) VALUES (p_name) ON CONFLICT DO NOTHING;
  END LOOP;
END
$$;

-- Counts tasks that come or go.
CREATE FUNCTION count_records(p_ns INTEGER, p_by BIGINT) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
  v_counter BIGINT;
BEGIN
  SELECT c.counter INTO v_counter FROM counters c WHERE c.ns = p_ns LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED;
  IF FOUND THEN
    UPDATE counters SET records = records + p_by WHERE counter = v_counter;
  ELSE
    INSERT INTO counters (ns, records) VALUES (p_ns, p_by);
  END IF;
END
$$;

-- The first of these `LIMIT:KEY` that has no room, or nothing.
CREATE FUNCTION without_room(p_ns INTEGER, p_concurrency TEXT[]) RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE
  v_entry TEXT;
  v_at INTEGER;
  v_held BIGINT;
BEGIN
  FOREACH v_entry IN ARRAY p_concurrency LOOP
    v_at := position(':' IN v_entry);
    SELECT count(*) INTO v_held FROM slots s
      WHERE s.ns = p_ns AND s.key = substr(v_entry, v_at + 1) AND s.task IS NOT NULL;
    IF v_held >= left(v_entry, v_at - 1)::bigint THEN
      RETURN v_entry;
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;

-- Gives a task a slot of each of its keys, or none at all: then this returns
-- the key that has none for it now.
--
-- A task of limit L may have slot S if S, and the holders of higher slots, are
-- no more than L. So at most L hold the key then, even where the limits of the
-- tasks differ; and where fewer than L hold it, the lowest slot that nobody has
-- is such a one.
CREATE FUNCTION take_slots(p_ns INTEGER, p_task BIGINT, p_concurrency TEXT[]) RETURNS TEXT
LANGUAGE plpgsql AS $$
DECLARE
  v_entry TEXT;
  v_at INTEGER;
  v_key TEXT;
  v_limit BIGINT;
  v_slot BIGINT;
  v_keys TEXT[] := '{}';
  v_slots BIGINT[] := '{}';
BEGIN
  FOREACH v_entry IN ARRAY p_concurrency LOOP
    v_at := position(':' IN v_entry);
    v_limit := left(v_entry, v_at - 1)::bigint;
    v_key := substr(v_entry, v_at + 1);
    SELECT s.slot INTO v_slot FROM slots s
      WHERE s.ns = p_ns AND s.key = v_key AND s.task IS NULL AND v_limit >= s.slot +
        (SELECT count(*) FROM slots h
          WHERE h.ns = p_ns AND h.key = v_key AND h.slot > s.slot AND h.task IS NOT NULL)
      ORDER BY s.slot LIMIT 1 FOR UPDATE OF s SKIP LOCKED;
    IF NOT FOUND THEN
      -- Rows are made by one at a time, for whom the others do not wait.
      IF NOT pg_try_advisory_xact_lock(hashtextextended(v_key, p_ns)) THEN
        RETURN v_entry;
      END IF;
      SELECT coalesce(min(n.slot), 1) INTO v_slot FROM
        (SELECT s.slot + 1 AS slot FROM slots s
          WHERE s.ns = p_ns AND s.key = v_key AND NOT EXISTS
            (SELECT 1 FROM slots f WHERE f.ns = p_ns AND f.key = v_key AND f.slot = s.slot + 1)
         UNION ALL
         SELECT 1 WHERE NOT EXISTS
            (SELECT 1 FROM slots f WHERE f.ns = p_ns AND f.key = v_key AND f.slot = 1)) n;
      IF v_limit < v_slot + (SELECT count(*) FROM slots h
          WHERE h.ns = p_ns AND h.key = v_key AND h.slot > v_slot AND h.task IS NOT NULL) THEN
        RETURN v_entry;
      END IF;
      INSERT INTO slots (ns, key, slot, freed_at) VALUES (p_ns, v_key, v_slot, now_ms())
        ON CONFLICT DO NOTHING;
      IF NOT FOUND THEN
        RETURN v_entry;
      END IF;
    END IF;
    v_keys := v_keys || v_key;
    v_slots := v_slots || v_slot;
  END LOOP;
  UPDATE slots s SET task = p_task FROM unnest(v_keys, v_slots) AS u(key, slot)
    WHERE s.ns = p_ns AND s.key = u.key AND s.slot = u.slot;
  RETURN NULL;
END
$$;

CREATE FUNCTION free_slots(p_tasks BIGINT[]) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  UPDATE slots SET task = NULL, freed_at = now_ms() WHERE task = ANY (p_tasks);
END
$$;

-- Remembers a key that has no room, so that what waits for it is passed over
-- without another look. Not too many: to look among them has its price as well.
CREATE FUNCTION and_full(p_full TEXT[], p_entry TEXT) RETURNS TEXT[] LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN cardinality(p_full) < 32 THEN p_full || p_entry ELSE p_full END
$$;

-- Whether anything that is queued could be claimed.
CREATE FUNCTION is_any_ready(p_ns INTEGER, p_now BIGINT, p_format INTEGER) RETURNS BOOLEAN
LANGUAGE plpgsql AS $$
DECLARE
  v_full TEXT[] := '{}';
  v_none TEXT;
  v RECORD;
BEGIN
  FOR v IN
    SELECT t.concurrency FROM tasks t
      WHERE t.ns = p_ns AND t.status = 0 AND (t.not_before IS NULL OR t.not_before <= p_now)
        AND t.format <= p_format
      ORDER BY t.tool, t.seq
  LOOP
    CONTINUE WHEN v.concurrency && v_full;
    v_none := without_room(p_ns, v.concurrency);
    IF v_none IS NULL THEN
      RETURN true;
    END IF;
    v_full := and_full(v_full, v_none);
  END LOOP;
  RETURN false;
END
$$;

CREATE FUNCTION owns_any(p_ns INTEGER, p_session UUID) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM tasks t WHERE t.ns = p_ns AND t.owner = p_session ORDER BY t.owner LIMIT 1;
  RETURN FOUND;
END
$$;

-- Says that a session lives.
CREATE FUNCTION renew_session(p_ns INTEGER, p_session UUID, p_lease BIGINT, p_beats BIGINT)
RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO sessions AS s (ns, session, beats, lease)
    VALUES (p_ns, p_session, p_beats, p_lease)
    ON CONFLICT ON CONSTRAINT sessions_pkey DO UPDATE
      SET beats = excluded.beats, lease = excluded.lease;
END
$$;

-- Makes sure that there is a row of a session that is given a task, and that
-- it stays. Renews the lease, and returns true, unless another call is about to
-- do so: calls that waited for each other would wait for each other's disk.
CREATE FUNCTION keep_session(p_ns INTEGER, p_session UUID, p_lease BIGINT, p_beats BIGINT)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM sessions s WHERE s.ns = p_ns AND s.session = p_session FOR KEY SHARE;
  IF FOUND THEN
    PERFORM 1 FROM sessions s WHERE s.ns = p_ns AND s.session = p_session
      FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      -- That renewal counts from its commit, which is yet to come.
      RETURN false;
    END IF;
  END IF;
  PERFORM renew_session(p_ns, p_session, p_lease, p_beats);
  RETURN true;
END
$$;

-- Deletes the row of a session that owns nothing. Whoever gives it a task at
-- the same time holds the row, or makes a new one.
CREATE FUNCTION end_session(p_ns INTEGER, p_session UUID) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  IF owns_any(p_ns, p_session) THEN
    RETURN;
  END IF;
  PERFORM 1 FROM sessions s WHERE s.ns = p_ns AND s.session = p_session FOR UPDATE;
  IF NOT FOUND OR owns_any(p_ns, p_session) THEN
    RETURN;
  END IF;
  DELETE FROM sessions s WHERE s.ns = p_ns AND s.session = p_session;
END
$$;

-- Adds lines to a task's log, in their order, each once, and keeps the last
-- ones.
CREATE FUNCTION append_log(p_task BIGINT, p_numbers BIGINT[], p_ats BIGINT[], p_texts TEXT[], p_kept BIGINT)
RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
  v_last BIGINT;
BEGIN
  IF cardinality(p_numbers) = 0 THEN
    RETURN;
  END IF;
  SELECT coalesce(max(l.number), -1) INTO v_last FROM log l WHERE l.task = p_task;
  INSERT INTO log (task, number, at, text)
    SELECT p_task, u.number, u.at, u.text FROM
      (SELECT w.*, max(w.number) OVER
        (ORDER BY w.place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
       FROM unnest(p_numbers, p_ats, p_texts) WITH ORDINALITY AS w(number, at, text, place)) u
      WHERE u.number > greatest(u.before, v_last);
  DELETE FROM log l WHERE l.task = p_task AND l.number <=
    (SELECT k.number FROM log k WHERE k.task = p_task ORDER BY k.number DESC LIMIT 1 OFFSET p_kept);
END
$$;

-- `end` of the state machine, for a row that the caller has locked and may
-- have changed in memory; `p_owner` is who keeps it while its body goes on.
CREATE FUNCTION end_task(p_row tasks, p_status SMALLINT, p_outcome TEXT, p_owner UUID, p_now BIGINT)
RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
  v_finished BIGINT := greatest(p_now, p_row.created_at);
BEGIN
  UPDATE tasks SET status = p_status, epoch = p_row.epoch, revision = p_row.revision + 1,
      attempt = p_row.attempt, owner = p_owner, not_before = NULL,
      started_at = p_row.started_at, finished_at = v_finished,
      expires_at = later(v_finished, p_row.retention), cancel = p_row.cancel, progress = NULL,
      outcome = p_outcome
    WHERE seq = p_row.seq;
  -- Nobody runs it again.
  DELETE FROM arguments WHERE task = p_row.seq;
  DELETE FROM steps WHERE task = p_row.seq;
  IF p_status <> 3 THEN
    DELETE FROM results WHERE task = p_row.seq;
  END IF;
  IF p_row.owner IS NOT NULL AND p_owner IS NULL AND cardinality(p_row.concurrency) > 0 THEN
    PERFORM free_slots(ARRAY[p_row.seq]);
  END IF;
END
$$;

-- `requeue` of the state machine, likewise.
CREATE FUNCTION requeue_task(p_row tasks, p_not_before BIGINT, p_progress TEXT)
RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tasks SET status = 0, epoch = p_row.epoch, revision = p_row.revision + 1,
      attempt = p_row.attempt, owner = NULL, not_before = p_not_before,
      started_at = p_row.started_at, progress = p_progress
    WHERE seq = p_row.seq;
  IF cardinality(p_row.concurrency) > 0 THEN
    PERFORM free_slots(ARRAY[p_row.seq]);
  END IF;
END
$$;

-- Deletes tasks, which the caller has locked, with everything that belongs to
-- them. True if that may let another one start.
CREATE FUNCTION remove_tasks(p_ns INTEGER, p_tasks BIGINT[]) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
  v_removed BIGINT;
  v_owners UUID[];
  v_frees BOOLEAN;
  v_owner UUID;
BEGIN
  WITH removed AS
    (DELETE FROM tasks WHERE seq = ANY (p_tasks) RETURNING owner, concurrency)
  SELECT count(*), array_agg(DISTINCT r.owner) FILTER (WHERE r.owner IS NOT NULL),
      coalesce(bool_or(r.owner IS NOT NULL AND cardinality(r.concurrency) > 0), false)
    INTO v_removed, v_owners, v_frees FROM removed r;
  IF v_removed = 0 THEN
    RETURN false;
  END IF;
  DELETE FROM arguments WHERE task = ANY (p_tasks);
  DELETE FROM results WHERE task = ANY (p_tasks);
  DELETE FROM keys WHERE task = ANY (p_tasks);
  DELETE FROM steps WHERE task = ANY (p_tasks);
  DELETE FROM log WHERE task = ANY (p_tasks);
  PERFORM count_records(p_ns, -v_removed);
  IF v_frees THEN
    PERFORM free_slots(p_tasks);
  END IF;
  IF v_owners IS NOT NULL THEN
    FOREACH v_owner IN ARRAY v_owners LOOP
      PERFORM end_session(p_ns, v_owner);
    END LOOP;
  END IF;
  RETURN v_frees;
END
$$;
