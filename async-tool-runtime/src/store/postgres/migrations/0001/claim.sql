-- The tasks that a session gets, the oldest first, with their arguments.
-- What others are about to claim is passed over. Only who would go away with
-- nothing waits for them: it must not find less than what is left when it says
-- so.
CREATE FUNCTION claim_tasks(
  p_ns INTEGER, p_format INTEGER, p_session UUID, p_lease BIGINT, p_beats BIGINT,
  p_tools TEXT[], p_rooms BIGINT[], p_limit BIGINT
) RETURNS SETOF answer LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_now BIGINT := now_ms();
  v_left BIGINT := p_limit;
  v_rooms BIGINT[] := p_rooms;
  v_after BIGINT := 0;
  v_full TEXT[] := '{}';
  v_none TEXT;
  v_taken BIGINT[] := '{}';
  v_again BIGINT[] := '{}';
  v_passed BIGINT;
  v_holds BOOLEAN := false;
  v_rounds INTEGER := 0;
  v_window BIGINT;
  v_seen BIGINT;
  v RECORD;
BEGIN
  WHILE v_left > 0 LOOP
    -- The first of all tools are among the first of each.
    v_window := least(v_left, 64) + 8;
    v_seen := 0;
    FOR v IN
      SELECT c.seq, c.attempt, c.max_attempts, c.concurrency, w.place
        FROM unnest(p_tools, v_rooms) WITH ORDINALITY AS w(tool, room, place)
        CROSS JOIN LATERAL
          (SELECT t.seq, t.attempt, t.max_attempts, t.concurrency FROM tasks t
            WHERE t.ns = p_ns AND t.tool = w.tool AND t.status = 0 AND t.seq > v_after
              AND (t.not_before IS NULL OR t.not_before <= v_now)
              AND t.format <= p_format AND NOT t.concurrency && v_full
            ORDER BY t.seq LIMIT v_window) c
        WHERE w.room > 0
        ORDER BY c.seq LIMIT v_window
    LOOP
      v_seen := v_seen + 1;
      v_after := v.seq;
      EXIT WHEN v_left = 0;
      CONTINUE WHEN v_rooms[v.place] <= 0 OR v.concurrency && v_full;
      v_none := without_room(p_ns, v.concurrency);
      IF v_none IS NOT NULL THEN
        v_full := and_full(v_full, v_none);
        CONTINUE;
      END IF;
      PERFORM 1 FROM tasks t WHERE t.seq = v.seq AND t.status = 0
          AND (t.not_before IS NULL OR t.not_before <= v_now)
        FOR UPDATE SKIP LOCKED;
      IF NOT FOUND THEN
        v_passed := coalesce(v_passed, v.seq);
        CONTINUE;
      END IF;
      IF cardinality(v.concurrency) > 0 THEN
        v_none := take_slots(p_ns, v.seq, v.concurrency);
        IF v_none IS NOT NULL THEN
          v_holds := true;
          v_full := and_full(v_full, v_none);
          CONTINUE;
        END IF;
      END IF;
      UPDATE tasks SET status = 1, epoch = epoch + 1, revision = revision + 1, report = 0,
          attempt = attempt + 1, owner = p_session, not_before = NULL, started_at = v_now,
          progress = NULL
        WHERE seq = v.seq;
      IF v.attempt > 0 THEN
        v_again := v_again || v.seq;
      END IF;
      v_taken := v_taken || v.seq;
      v_rooms[v.place] := v_rooms[v.place] - 1;
      v_left := v_left - 1;
    END LOOP;
    IF v_seen < v_window THEN
      -- Who holds anything waits for nothing.
      EXIT WHEN v_passed IS NULL OR v_holds OR cardinality(v_taken) > 0 OR v_rounds = 3;
      PERFORM 1 FROM tasks t WHERE t.seq = v_passed AND t.status = 0 FOR UPDATE;
      v_holds := FOUND;
      v_rounds := v_rounds + 1;
      v_passed := NULL;
      v_after := 0;
      v_full := '{}';
    END IF;
  END LOOP;
  IF cardinality(v_taken) = 0 THEN
    RETURN;
  END IF;
  IF cardinality(v_again) > 0 THEN
    DELETE FROM results WHERE task = ANY (v_again);
  END IF;
  PERFORM renew_session(p_ns, p_session, p_lease, p_beats);
  RETURN QUERY SELECT 0::smallint, v_now, t.format, t.id, t.status, t.epoch, t.revision, t.report,
      t.attempt, t.max_attempts, t.owner, t.not_before, t.created_at, t.started_at,
      t.finished_at, t.deadline, t.retention, t.tool, t.scope, t.concurrency, t.cancel,
      t.progress, t.outcome, a.body
    FROM tasks t JOIN arguments a ON a.task = t.seq WHERE t.seq = ANY (v_taken) ORDER BY t.seq;
END
$$;
