-- Kinds: 0 requeued, 1 interrupted, 2 expired, 3 purged (those have an id);
-- 4 something is ready, 5 in so many milliseconds there may be something to
-- do, 6 something may start that could not before.
--
-- A session is dead if its row is as the caller saw it for too long. What is
-- said of tasks, and by how much their revisions grow, comes from the state
-- machine: `p_grows` and the texts.
CREATE FUNCTION reap(
  p_ns INTEGER, p_format INTEGER, p_limit BIGINT, p_dead UUID[], p_dead_beats BIGINT[],
  p_grows BIGINT, p_requeued TEXT, p_interrupted TEXT, p_expired TEXT, p_idle BIGINT
) RETURNS TABLE (kind SMALLINT, id UUID, number BIGINT)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_now BIGINT := now_ms();
  v_left BIGINT := p_limit;
  v_frees BOOLEAN := false;
  v_more BOOLEAN := false;
  v_seqs BIGINT[];
  v_ids UUID[];
  v tasks;
BEGIN
  PERFORM need_not_be_durable();
  FOR v_at IN 1..cardinality(p_dead) LOOP
    PERFORM 1 FROM sessions s WHERE s.ns = p_ns AND s.session = p_dead[v_at]
      AND s.beats = p_dead_beats[v_at] FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    FOR v IN
      SELECT t.* FROM tasks t
        WHERE t.ns = p_ns AND t.owner = p_dead[v_at] AND t.format <= p_format
        LIMIT v_left FOR UPDATE SKIP LOCKED
    LOOP
      v_left := v_left - 1;
      v_frees := v_frees OR cardinality(v.concurrency) > 0;
      v.epoch := v.epoch + 1;
      IF v.status >= 3 THEN
        UPDATE tasks t SET epoch = v.epoch, owner = NULL WHERE t.seq = v.seq;
        PERFORM free_slots(ARRAY[v.seq]);
        CONTINUE;
      END IF;
      v.revision := v.revision + p_grows;
      IF v.cancel IS NOT NULL THEN
        PERFORM end_task(v, 5::smallint, v.cancel, NULL, v_now);
        kind := 1;
      ELSIF v.attempt < v.max_attempts THEN
        PERFORM requeue_task(v, NULL, p_requeued);
        kind := 0;
        v_frees := true;
      ELSE
        PERFORM end_task(v, 4::smallint, p_interrupted, NULL, v_now);
        kind := 1;
      END IF;
      id := v.id;
      RETURN NEXT;
    END LOOP;
    PERFORM 1 FROM tasks t
      WHERE t.ns = p_ns AND t.owner = p_dead[v_at] AND t.format <= p_format
      ORDER BY t.owner LIMIT 1;
    IF FOUND THEN
      v_more := true;
    ELSE
      PERFORM end_session(p_ns, p_dead[v_at]);
    END IF;
  END LOOP;

  FOR v IN
    SELECT t.* FROM tasks t
      WHERE t.ns = p_ns AND t.status = 0 AND t.deadline <= v_now AND t.format <= p_format
      ORDER BY t.deadline LIMIT p_limit FOR UPDATE SKIP LOCKED
  LOOP
    PERFORM end_task(v, 4::smallint, p_expired, NULL, v_now);
    kind := 2;
    id := v.id;
    RETURN NEXT;
  END LOOP;

  SELECT array_agg(e.seq), array_agg(e.id) INTO v_seqs, v_ids FROM
    (SELECT t.seq, t.id FROM tasks t
      WHERE t.ns = p_ns AND t.expires_at IS NOT NULL AND t.expires_at <= v_now
        AND t.format <= p_format
      ORDER BY t.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED) e;
  IF v_seqs IS NOT NULL THEN
    v_frees := remove_tasks(p_ns, v_seqs) OR v_frees;
    RETURN QUERY SELECT 3::smallint, u.id, 0::bigint FROM unnest(v_ids) AS u(id);
  END IF;

  -- Slots of keys that nobody needs any more.
  DELETE FROM slots s USING
    (SELECT f.ns, f.key, f.slot FROM slots f
      WHERE f.ns = p_ns AND f.task IS NULL AND f.freed_at <= v_now - p_idle
      ORDER BY f.freed_at LIMIT p_limit FOR UPDATE SKIP LOCKED) i
    WHERE s.ns = i.ns AND s.key = i.key AND s.slot = i.slot;

  id := NULL;
  IF is_any_ready(p_ns, v_now, p_format) THEN
    kind := 4;
    RETURN NEXT;
  END IF;
  IF v_frees THEN
    kind := 6;
    RETURN NEXT;
  END IF;
  SELECT min(n.moment) - v_now INTO number FROM (
    (SELECT t.deadline AS moment FROM tasks t
      WHERE t.ns = p_ns AND t.status = 0 AND t.format <= p_format
      ORDER BY t.deadline LIMIT 1)
    UNION ALL
    (SELECT t.not_before FROM tasks t
      WHERE t.ns = p_ns AND t.not_before > v_now AND t.format <= p_format
      ORDER BY t.not_before LIMIT 1)
    UNION ALL
    (SELECT t.expires_at FROM tasks t
      WHERE t.ns = p_ns AND t.expires_at IS NOT NULL AND t.format <= p_format
      ORDER BY t.expires_at LIMIT 1)) n;
  IF v_more THEN
    number := 0;
  END IF;
  IF number IS NOT NULL THEN
    kind := 5;
    RETURN NEXT;
  END IF;
END
$$;
