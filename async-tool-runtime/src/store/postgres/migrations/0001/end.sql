-- Whether an epoch may write to a row, as `fence` of the state machine says.
-- Answers of it and of the verbs below: 0 it may, and it is done; 1 the task
-- has ended; 2 it is somebody else's, or gone. To the 0 of `finish_task` and
-- `release_task` 4 is added if that may let another task start.
CREATE FUNCTION fence(p_row tasks, p_epoch BIGINT) RETURNS INTEGER LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_row.status >= 3 THEN 1
    WHEN p_row.epoch <> p_epoch OR p_row.owner IS NULL THEN 2 ELSE 0 END
$$;

CREATE FUNCTION finish_task(
  p_ns INTEGER, p_format INTEGER, p_id UUID, p_epoch BIGINT, p_revision BIGINT,
  p_status SMALLINT, p_outcome TEXT, p_result TEXT, p_ahead BOOLEAN, p_lingers BOOLEAN,
  p_log_numbers BIGINT[], p_log_ats BIGINT[], p_log_texts TEXT[], p_kept BIGINT
) RETURNS INTEGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v tasks;
  v_refused INTEGER;
BEGIN
  SELECT t.* INTO v FROM tasks t WHERE t.id = p_id AND t.ns = p_ns FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 2;
  END IF;
  PERFORM check_format(v.format, p_format);
  v_refused := fence(v, p_epoch);
  IF v_refused <> 0 THEN
    RETURN v_refused;
  END IF;
  IF p_ahead THEN
    PERFORM 1 FROM results r WHERE r.task = v.seq AND r.epoch = p_epoch;
    IF NOT FOUND THEN
      RAISE EXCEPTION USING ERRCODE = 'AT002', MESSAGE = 'the result was not put ahead';
    END IF;
  ELSIF p_status = 3 THEN
    PERFORM keep_result(v.seq, p_epoch, p_result);
  END IF;
  PERFORM append_log(v.seq, p_log_numbers, p_log_ats, p_log_texts, p_kept);
  v.revision := greatest(v.revision, p_revision);
  PERFORM end_task(v, p_status, p_outcome, CASE WHEN p_lingers THEN v.owner END, now_ms());
  IF p_lingers THEN
    RETURN 0;
  END IF;
  PERFORM end_session(p_ns, v.owner);
  RETURN CASE WHEN cardinality(v.concurrency) > 0 THEN 4 ELSE 0 END;
END
$$;

CREATE FUNCTION keep_result(p_task BIGINT, p_epoch BIGINT, p_result TEXT) RETURNS VOID
LANGUAGE sql AS $$
  INSERT INTO results (task, epoch, body) VALUES (p_task, p_epoch, p_result)
    ON CONFLICT (task) DO UPDATE SET epoch = excluded.epoch, body = excluded.body
$$;

-- Kinds of release: 0 not started, 1 for a retry, 2 stopped.
CREATE FUNCTION release_task(
  p_ns INTEGER, p_format INTEGER, p_id UUID, p_epoch BIGINT, p_kind INTEGER,
  p_after BIGINT, p_progress TEXT, p_revision BIGINT,
  p_log_numbers BIGINT[], p_log_ats BIGINT[], p_log_texts TEXT[], p_kept BIGINT
) RETURNS INTEGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v tasks;
  v_owner UUID;
  v_reason TEXT;
  v_refused INTEGER;
  v_now BIGINT := now_ms();
BEGIN
  IF p_kind <> 1 THEN
    -- Those are repeated or taken over if they get lost.
    PERFORM need_not_be_durable();
  END IF;
  SELECT t.* INTO v FROM tasks t WHERE t.id = p_id AND t.ns = p_ns FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 2;
  END IF;
  PERFORM check_format(v.format, p_format);
  v_owner := v.owner;
  IF p_kind = 2 THEN
    IF v.status < 3 OR v.owner IS NULL OR v.epoch <> p_epoch THEN
      RETURN 2;
    END IF;
    UPDATE tasks SET owner = NULL WHERE seq = v.seq;
    PERFORM free_slots(ARRAY[v.seq]);
    PERFORM end_session(p_ns, v_owner);
    RETURN 4;
  END IF;
  v_refused := fence(v, p_epoch);
  IF v_refused <> 0 THEN
    RETURN v_refused;
  END IF;
  IF p_kind = 1 THEN
    v.revision := greatest(v.revision, p_revision);
  ELSE
    -- As if it had not been claimed.
    v.attempt := v.attempt - 1;
    v.started_at := NULL;
  END IF;
  IF v.cancel IS NOT NULL THEN
    v_reason := v.cancel;
    v.cancel := NULL;
    PERFORM end_task(v, 5::smallint, v_reason, NULL, v_now);
  ELSIF p_kind = 1 THEN
    -- Without a pause no clock has to come to a moment.
    PERFORM requeue_task(v, CASE WHEN p_after > 0 THEN later(v_now, p_after) END, p_progress);
  ELSE
    PERFORM requeue_task(v, NULL, NULL);
  END IF;
  PERFORM append_log(v.seq, p_log_numbers, p_log_ats, p_log_texts, p_kept);
  PERFORM end_session(p_ns, v_owner);
  RETURN 4;
END
$$;

-- Durable with the end that relies on it.
CREATE FUNCTION put_result(
  p_ns INTEGER, p_format INTEGER, p_id UUID, p_epoch BIGINT, p_result TEXT
) RETURNS INTEGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v tasks;
  v_refused INTEGER;
BEGIN
  PERFORM need_not_be_durable();
  SELECT t.* INTO v FROM tasks t WHERE t.id = p_id AND t.ns = p_ns FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 2;
  END IF;
  PERFORM check_format(v.format, p_format);
  v_refused := fence(v, p_epoch);
  IF v_refused = 0 THEN
    PERFORM keep_result(v.seq, p_epoch, p_result);
  END IF;
  RETURN v_refused;
END
$$;

CREATE FUNCTION record_step(
  p_ns INTEGER, p_format INTEGER, p_id UUID, p_epoch BIGINT,
  p_digest BYTEA, p_name TEXT, p_result TEXT
) RETURNS INTEGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v tasks;
  v_refused INTEGER;
BEGIN
  SELECT t.* INTO v FROM tasks t WHERE t.id = p_id AND t.ns = p_ns FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 2;
  END IF;
  PERFORM check_format(v.format, p_format);
  v_refused := fence(v, p_epoch);
  IF v_refused = 0 THEN
    INSERT INTO steps (task, digest, name, result) VALUES (v.seq, p_digest, p_name, p_result)
      ON CONFLICT DO NOTHING;
  END IF;
  RETURN v_refused;
END
$$;

-- Answers: 0 there is no such task, 1 nothing to do, 2 asked, 3 ended.
CREATE FUNCTION request_cancel(p_ns INTEGER, p_format INTEGER, p_id UUID, p_reason TEXT)
RETURNS INTEGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v tasks;
  v_now BIGINT := now_ms();
BEGIN
  SELECT t.* INTO v FROM tasks t WHERE t.id = p_id AND t.ns = p_ns FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  PERFORM check_format(v.format, p_format);
  IF v.expires_at <= v_now THEN
    RETURN 0;
  ELSIF v.status = 0 THEN
    PERFORM end_task(v, 5::smallint, p_reason, NULL, v_now);
    RETURN 3;
  ELSIF v.status < 3 AND v.cancel IS NULL THEN
    UPDATE tasks SET cancel = p_reason, revision = revision + 1 WHERE seq = v.seq;
    RETURN 2;
  END IF;
  RETURN 1;
END
$$;
