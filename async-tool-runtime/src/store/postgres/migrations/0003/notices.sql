-- `reap`, and of notices: kind 7 if some are due, and one more 5 for the next one.
-- What is due already is nothing to come again for.
CREATE FUNCTION sweep(
  p_ns INTEGER, p_format INTEGER, p_limit BIGINT, p_dead UUID[], p_dead_beats BIGINT[],
  p_grows BIGINT, p_requeued TEXT, p_interrupted TEXT, p_expired TEXT, p_idle BIGINT
) RETURNS TABLE (kind SMALLINT, id UUID, number BIGINT)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_now BIGINT;
BEGIN
  RETURN QUERY SELECT * FROM reap(p_ns, p_format, p_limit, p_dead, p_dead_beats, p_grows,
    p_requeued, p_interrupted, p_expired, p_idle);
  v_now := now_ms();
  id := NULL;
  PERFORM 1 FROM tasks t
    WHERE t.ns = p_ns AND t.notice_due IS NOT NULL AND t.notice_due <= v_now
      AND t.format <= p_format AND (t.expires_at IS NULL OR t.expires_at > v_now)
    ORDER BY t.notice_due LIMIT 1;
  IF FOUND THEN
    kind := 7;
    RETURN NEXT;
  END IF;
  SELECT t.notice_due - v_now INTO number FROM tasks t
    WHERE t.ns = p_ns AND t.notice_due IS NOT NULL AND t.notice_due > v_now
      AND t.format <= p_format
    ORDER BY t.notice_due LIMIT 1;
  IF FOUND THEN
    kind := 5;
    RETURN NEXT;
  END IF;
END
$$;

-- The tasks whose notices the caller gets, the longest due first. What others are
-- writing to is passed over: they are about to claim it, or the next call gets it.
CREATE FUNCTION claim_notices(p_ns INTEGER, p_format INTEGER, p_pause BIGINT, p_limit BIGINT)
RETURNS SETOF UUID LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_now BIGINT := now_ms();
  v_seqs BIGINT[];
  v_ids UUID[];
BEGIN
  PERFORM need_not_be_durable();
  SELECT array_agg(d.seq), array_agg(d.id ORDER BY d.notice_due, d.id) INTO v_seqs, v_ids FROM
    (SELECT t.seq, t.id, t.notice_due FROM tasks t
      WHERE t.ns = p_ns AND t.notice_due IS NOT NULL AND t.notice_due <= v_now
        AND t.format <= p_format AND (t.expires_at IS NULL OR t.expires_at > v_now)
      ORDER BY t.notice_due, t.id LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED) d;
  IF v_seqs IS NULL THEN
    RETURN;
  END IF;
  UPDATE tasks SET notice_due = later(v_now, p_pause) WHERE seq = ANY (v_seqs);
  RETURN QUERY SELECT unnest(v_ids);
END
$$;

-- `p_again` is the pause before another try; NULL: there is to be none.
CREATE FUNCTION settle_notice(
  p_ns INTEGER, p_format INTEGER, p_id UUID, p_number BIGINT, p_due BIGINT, p_state TEXT,
  p_again BIGINT
) RETURNS BOOLEAN LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_now BIGINT := now_ms();
BEGIN
  PERFORM need_not_be_durable();
  UPDATE tasks t SET notice_state = p_state,
      notice_due = CASE WHEN p_again IS NOT NULL THEN later(v_now, p_again) END
    WHERE t.id = p_id AND t.ns = p_ns AND t.format <= p_format AND t.notice = p_number
      AND t.notice_due = p_due AND (t.expires_at IS NULL OR t.expires_at > v_now);
  RETURN FOUND;
END
$$;

-- Answers: 0 there is no such task, 1 it has not ended, 2 it is in use, 3 it is
-- gone.
CREATE FUNCTION purge_task(p_ns INTEGER, p_format INTEGER, p_id UUID) RETURNS INTEGER
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v tasks;
BEGIN
  SELECT t.* INTO v FROM tasks t WHERE t.id = p_id AND t.ns = p_ns FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  PERFORM check_format(v.format, p_format);
  IF v.expires_at <= now_ms() THEN
    RETURN 0;
  ELSIF v.status < 3 THEN
    RETURN 1;
  ELSIF v.owner IS NOT NULL OR v.notice_due IS NOT NULL THEN
    RETURN 2;
  END IF;
  PERFORM remove_tasks(p_ns, ARRAY[v.seq]);
  RETURN 3;
END
$$;
