-- As before, with what becomes of the histories; NULL: they stay as they are.
--
-- Kinds: 0 a task that the session owns, 1 a task whose revision grew. Reports
-- come in the order of their tasks' ids, so that those who lock several do so
-- in one order; `p_lines` says how many lines of the log each one has.
CREATE FUNCTION beat(
  p_ns INTEGER, p_format INTEGER, p_session UUID, p_lease BIGINT, p_beats BIGINT,
  p_ids UUID[], p_epochs BIGINT[], p_numbers BIGINT[], p_progress TEXT[], p_revisions BIGINT[],
  p_lines INTEGER[], p_log_numbers BIGINT[], p_log_ats BIGINT[], p_log_texts TEXT[], p_kept BIGINT,
  p_histories TEXT[]
) RETURNS TABLE (kind SMALLINT, id UUID, epoch BIGINT, cancel TEXT, status SMALLINT)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_from INTEGER := 1;
  v_to INTEGER;
  v RECORD;
BEGIN
  PERFORM need_not_be_durable();
  FOR v_at IN 1..cardinality(p_ids) LOOP
    v_to := v_from + p_lines[v_at] - 1;
    SELECT t.seq, t.revision INTO v FROM tasks t
      WHERE t.id = p_ids[v_at] AND t.ns = p_ns AND t.format <= p_format AND t.status < 3
        AND t.epoch = p_epochs[v_at] AND t.owner IS NOT NULL AND t.report < p_numbers[v_at]
      FOR NO KEY UPDATE;
    IF FOUND THEN
      UPDATE tasks t SET report = p_numbers[v_at], progress = p_progress[v_at],
          revision = greatest(t.revision, p_revisions[v_at]),
          history = coalesce(p_histories[v_at], t.history)
        WHERE t.seq = v.seq;
      IF v_to >= v_from THEN
        PERFORM append_log(v.seq, p_log_numbers[v_from:v_to], p_log_ats[v_from:v_to],
          p_log_texts[v_from:v_to], p_kept);
      END IF;
      IF p_revisions[v_at] > v.revision THEN
        RETURN QUERY SELECT 1::smallint, p_ids[v_at], 0::bigint, NULL::text, 0::smallint;
      END IF;
    END IF;
    v_from := v_to + 1;
  END LOOP;

  IF owns_any(p_ns, p_session) THEN
    -- First this, which waits for whoever takes its tasks from it; then a look
    -- at what is left.
    PERFORM renew_session(p_ns, p_session, p_lease, p_beats);
    RETURN QUERY SELECT 0::smallint, t.id, t.epoch, t.cancel, t.status FROM tasks t
      WHERE t.ns = p_ns AND t.owner = p_session AND t.format <= p_format;
    IF FOUND THEN
      RETURN;
    END IF;
  END IF;
  PERFORM end_session(p_ns, p_session);
END
$$;

-- For processes of former versions.
CREATE OR REPLACE FUNCTION beat(
  p_ns INTEGER, p_format INTEGER, p_session UUID, p_lease BIGINT, p_beats BIGINT,
  p_ids UUID[], p_epochs BIGINT[], p_numbers BIGINT[], p_progress TEXT[], p_revisions BIGINT[],
  p_lines INTEGER[], p_log_numbers BIGINT[], p_log_ats BIGINT[], p_log_texts TEXT[], p_kept BIGINT
) RETURNS TABLE (kind SMALLINT, id UUID, epoch BIGINT, cancel TEXT, status SMALLINT)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  RETURN QUERY SELECT * FROM beat(p_ns, p_format, p_session, p_lease, p_beats, p_ids, p_epochs,
    p_numbers, p_progress, p_revisions, p_lines, p_log_numbers, p_log_ats, p_log_texts, p_kept,
    '{}');
END
$$;
