-- As before, with what else is kept of the call, whether somebody is to be told of
-- the task, and how many tasks of its principal may be queued (NULL: as many as
-- the others allow).
--
-- Answers: 0 new and queued, 1 new and claimed, 2 likewise with a renewal
-- (`number` is the moment for these three), 3 existing, 4 conflict (`id` for these
-- two), and full: 5 the tool's queue, 6 the queue, 7 records, 8 keys, 9 the
-- principal's queue.
CREATE FUNCTION create_task(
  p_ns INTEGER, p_id UUID, p_format INTEGER,
  p_name BYTEA, p_fingerprint BYTEA, p_dedupe BYTEA,
  p_tool TEXT, p_scope TEXT, p_arguments TEXT, p_concurrency TEXT[],
  p_max_attempts BIGINT, p_max_wait BIGINT, p_retention BIGINT,
  p_tool_queue BIGINT, p_queue BIGINT, p_max_records BIGINT, p_max_keys INTEGER,
  p_session UUID, p_lease BIGINT, p_beats BIGINT,
  p_origin TEXT, p_notify BOOLEAN, p_principal_queue BIGINT
) RETURNS SETOF answer LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  -- So near to a limit, calls that would pass it together wait for each other.
  c_near CONSTANT BIGINT := 64;
  v answer;
  v_now BIGINT := now_ms();
  v_found RECORD;
  v_seq BIGINT := nextval('task_seq');
  v_claims BOOLEAN;
  v_renewed BOOLEAN := false;
  v_waiting BIGINT;
  v_all BIGINT;
  v_locked BOOLEAN := false;
  v_constraint TEXT;
BEGIN
  <<again>>
  FOR v_try IN 1..100 LOOP
    -- The task that the call's key names.
    IF p_name IS NOT NULL THEN
      SELECT k.task, k.fingerprint, t.id, t.format, t.expires_at INTO v_found
        FROM keys k JOIN tasks t ON t.seq = k.task
        WHERE k.ns = p_ns AND k.name = p_name;
      IF FOUND THEN
        PERFORM check_format(v_found.format, p_format);
        IF v_found.expires_at <= v_now THEN
          PERFORM remove_tasks(p_ns, ARRAY[v_found.task]);
        ELSIF v_found.fingerprint <> p_fingerprint THEN
          v.kind := 4;
          v.id := v_found.id;
          RETURN NEXT v;
          RETURN;
        ELSE
          v.kind := 3;
          v.id := v_found.id;
          RETURN NEXT v;
          RETURN;
        END IF;
      END IF;
    END IF;

    -- The equal task that this call shares from now on.
    IF p_dedupe IS NOT NULL THEN
      IF p_name IS NULL THEN
        SELECT t.seq, t.id, t.keys, t.status, t.deadline, t.format INTO v_found FROM tasks t
          WHERE t.ns = p_ns AND t.dedupe = p_dedupe AND t.dedupe IS NOT NULL AND t.status < 3
            AND t.cancel IS NULL;
      ELSE
        SELECT t.seq, t.id, t.keys, t.status, t.deadline, t.format INTO v_found FROM tasks t
          WHERE t.ns = p_ns AND t.dedupe = p_dedupe AND t.dedupe IS NOT NULL AND t.status < 3
            AND t.cancel IS NULL FOR UPDATE;
      END IF;
      IF FOUND THEN
        PERFORM check_format(v_found.format, p_format);
        IF v_found.status = 0 AND v_found.deadline <= v_now THEN
          -- Whoever notices first ends it; nobody joins it any more.
          UPDATE tasks SET dedupe = NULL WHERE seq = v_found.seq AND status = 0;
        ELSE
          IF p_name IS NOT NULL THEN
            IF v_found.keys >= p_max_keys THEN
              v.kind := 8;
              RETURN NEXT v;
              RETURN;
            END IF;
            INSERT INTO keys (ns, name, task, fingerprint)
              VALUES (p_ns, p_name, v_found.seq, p_fingerprint) ON CONFLICT DO NOTHING;
            CONTINUE again WHEN NOT FOUND;
            UPDATE tasks SET keys = keys + 1 WHERE seq = v_found.seq;
          END IF;
          v.kind := 3;
          v.id := v_found.id;
          RETURN NEXT v;
          RETURN;
        END IF;
      END IF;
    END IF;

    IF (SELECT coalesce(sum(c.records), 0) FROM counters c WHERE c.ns = p_ns) >= p_max_records THEN
      v.kind := 7;
      RETURN NEXT v;
      RETURN;
    END IF;

    BEGIN
      v_claims := false;
      IF p_session IS NOT NULL AND without_room(p_ns, p_concurrency) IS NULL
          AND NOT is_any_ready(p_ns, v_now, p_format) THEN
        v_claims := take_slots(p_ns, v_seq, p_concurrency) IS NULL;
      END IF;
      IF NOT v_claims AND p_principal_queue IS NOT NULL AND p_scope <> '' THEN
        FOR v_look IN 1..2 LOOP
          SELECT count(*) INTO v_waiting FROM
            (SELECT 1 FROM tasks t WHERE t.ns = p_ns AND t.scope = p_scope AND t.scope <> ''
              AND t.status = 0 LIMIT p_principal_queue) q;
          IF v_waiting >= p_principal_queue THEN
            v.kind := 9;
            RETURN NEXT v;
            RETURN;
          END IF;
          EXIT WHEN v_look = 2 OR v_waiting < p_principal_queue - c_near;
          PERFORM pg_advisory_xact_lock(hashtextextended('queue ' || p_scope, p_ns));
        END LOOP;
      END IF;
      IF NOT v_claims THEN
        FOR v_look IN 1..2 LOOP
          SELECT count(*) INTO v_waiting FROM
            (SELECT 1 FROM tasks t WHERE t.ns = p_ns AND t.tool = p_tool AND t.status = 0
              LIMIT greatest(p_tool_queue, 1)) q;
          -- Its session has a slot for it.
          EXIT WHEN p_session IS NOT NULL AND v_waiting = 0;
          SELECT count(*) INTO v_all FROM
            (SELECT 1 FROM tasks t WHERE t.ns = p_ns AND t.status = 0
              LIMIT greatest(p_queue, 1)) q;
          IF v_waiting >= p_tool_queue OR v_all >= p_queue THEN
            v.kind := CASE WHEN v_waiting >= p_tool_queue THEN 5 ELSE 6 END;
            RETURN NEXT v;
            RETURN;
          END IF;
          EXIT WHEN v_locked
            OR (v_waiting < p_tool_queue - c_near AND v_all < p_queue - c_near);
          PERFORM pg_advisory_xact_lock(hashtextextended('queues', p_ns));
          v_locked := true;
        END LOOP;
      END IF;

      IF p_name IS NOT NULL THEN
        INSERT INTO keys (ns, name, task, fingerprint) VALUES (p_ns, p_name, v_seq, p_fingerprint);
      END IF;
      INSERT INTO tasks (seq, ns, id, format, status, keys, epoch, revision, report, attempt,
          max_attempts, owner, created_at, started_at, deadline, retention, tool, scope,
          concurrency, dedupe, origin, notice)
        VALUES (v_seq, p_ns, p_id, CASE WHEN p_notify THEN 3 ELSE 1 END, v_claims::int, (p_name IS NOT NULL)::int,
          v_claims::int, 1 + v_claims::int, 0, v_claims::int,
          p_max_attempts, CASE WHEN v_claims THEN p_session END, v_now,
          CASE WHEN v_claims THEN v_now END, later(v_now, p_max_wait), p_retention, p_tool,
          p_scope, p_concurrency, p_dedupe, p_origin, CASE WHEN p_notify THEN 0 END);
      INSERT INTO arguments (task, body) VALUES (v_seq, p_arguments);
    EXCEPTION WHEN unique_violation THEN
      -- Another call was quicker; it is looked at again.
      GET STACKED DIAGNOSTICS v_constraint = CONSTRAINT_NAME;
      IF v_constraint = 'tasks_id' THEN
        RAISE;
      END IF;
      v_locked := false;
      CONTINUE again;
    END;
    PERFORM count_records(p_ns, 1);
    IF v_claims THEN
      v_renewed := keep_session(p_ns, p_session, p_lease, p_beats);
    END IF;
    v.kind := v_claims::int + v_renewed::int;
    v.number := v_now;
    RETURN NEXT v;
    RETURN;
  END LOOP;
  RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'the key of a task does not settle';
END
$$;

-- For processes of former versions, which read an existing task from the answer.
CREATE OR REPLACE FUNCTION create_task(
  p_ns INTEGER, p_id UUID, p_format INTEGER,
  p_name BYTEA, p_fingerprint BYTEA, p_dedupe BYTEA,
  p_tool TEXT, p_scope TEXT, p_arguments TEXT, p_concurrency TEXT[],
  p_max_attempts BIGINT, p_max_wait BIGINT, p_retention BIGINT,
  p_tool_queue BIGINT, p_queue BIGINT, p_max_records BIGINT, p_max_keys INTEGER,
  p_session UUID, p_lease BIGINT, p_beats BIGINT
) RETURNS SETOF answer LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v answer;
BEGIN
  LOOP
    SELECT c.* INTO v FROM create_task(p_ns, p_id, p_format, p_name, p_fingerprint, p_dedupe,
      p_tool, p_scope, p_arguments, p_concurrency, p_max_attempts, p_max_wait, p_retention,
      p_tool_queue, p_queue, p_max_records, p_max_keys, p_session, p_lease, p_beats,
      NULL, false, NULL) c;
    IF v.kind <> 3 THEN
      RETURN NEXT v;
      RETURN;
    END IF;
    RETURN QUERY SELECT k.* FROM known_task(
      (SELECT t.seq FROM tasks t WHERE t.id = v.id AND t.ns = p_ns)) k;
    IF FOUND THEN
      RETURN;
    END IF;
  END LOOP;
END
$$;
