-- As before; and it is told, where anybody is to be told.
CREATE OR REPLACE FUNCTION end_task(p_row tasks, p_status SMALLINT, p_outcome TEXT, p_owner UUID, p_now BIGINT)
RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
  v_finished BIGINT := greatest(p_now, p_row.created_at);
BEGIN
  UPDATE tasks SET status = p_status, epoch = p_row.epoch, revision = p_row.revision + 1,
      attempt = p_row.attempt, owner = p_owner, not_before = NULL,
      started_at = p_row.started_at, finished_at = v_finished,
      expires_at = later(v_finished, p_row.retention), cancel = p_row.cancel, progress = NULL,
      outcome = p_outcome, input = NULL, notice = notice + 1,
      notice_due = CASE WHEN notice IS NOT NULL THEN p_now END, notice_state = NULL
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

-- As before; and what is asked is told, where anybody is to be told.
--
-- Answers as `fence` says. To the 0 of what made the revision grow 4 is added.
-- `p_digests` are those of the steps that would be the answers.
CREATE OR REPLACE FUNCTION ask_questions(
  p_ns INTEGER, p_format INTEGER, p_id UUID, p_epoch BIGINT, p_revision BIGINT,
  p_questions TEXT, p_digests BYTEA[], p_kept BIGINT
) RETURNS INTEGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v tasks;
  v_refused INTEGER;
  v_known JSONB;
  v_open JSONB;
  v_asked JSONB;
  v_others JSONB;
  v_now BIGINT := now_ms();
  v_asks BOOLEAN;
BEGIN
  SELECT t.* INTO v FROM tasks t WHERE t.id = p_id AND t.ns = p_ns FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 2;
  END IF;
  PERFORM check_format(v.format, p_format);
  v_refused := fence(v, p_epoch);
  IF v_refused <> 0 THEN
    RETURN v_refused;
  END IF;

  v_known := coalesce(v.input -> 'questions', '[]');
  SELECT coalesce(jsonb_agg(q.question ORDER BY q.place), '[]') INTO v_open
    FROM jsonb_array_elements(v_known) WITH ORDINALITY AS q(question, place)
    WHERE (q.question ->> 'epoch')::bigint = v.epoch;
  SELECT coalesce(jsonb_agg(q.question ORDER BY q.place), '[]') INTO v_asked
    FROM jsonb_array_elements(p_questions::jsonb) WITH ORDINALITY AS q(question, place)
    WHERE NOT EXISTS
      (SELECT 1 FROM steps s WHERE s.task = v.seq AND s.digest = p_digests[q.place]);
  IF v_asked = v_open THEN
    IF p_revision <= v.revision THEN
      RETURN 0;
    END IF;
    UPDATE tasks SET revision = p_revision WHERE seq = v.seq;
    RETURN 4;
  END IF;

  -- Of earlier attempts; the last ones.
  SELECT coalesce(jsonb_agg(k.question ORDER BY k.place), '[]') INTO v_others FROM
    (SELECT q.question, q.place
      FROM jsonb_array_elements(v_known) WITH ORDINALITY AS q(question, place)
      WHERE (q.question ->> 'epoch')::bigint <> v.epoch AND NOT EXISTS
        (SELECT 1 FROM jsonb_array_elements(v_asked) AS n(question)
          WHERE n.question ->> 'key' = q.question ->> 'key')
      ORDER BY q.place DESC LIMIT greatest(p_kept - jsonb_array_length(v_asked), 0)) k;
  v_asks := v_asked <> '[]';
  UPDATE tasks SET status = CASE WHEN v_asks THEN 2 ELSE 1 END,
      revision = greatest(revision, p_revision) + 1, format = greatest(format, 2),
      input = jsonb_build_object('at', v_now, 'questions', v_others || v_asked),
      notice = notice + v_asks::int,
      notice_due = CASE WHEN v_asks AND notice IS NOT NULL THEN v_now ELSE notice_due END,
      notice_state = CASE WHEN v_asks THEN NULL ELSE notice_state END
    WHERE seq = v.seq;
  RETURN 4;
END
$$;

-- Keeps the history that comes with what a worker did to its task, unless that
-- was refused; `p_done` is its answer, and that of this.
CREATE FUNCTION remember(p_done INTEGER, p_ns INTEGER, p_id UUID, p_history TEXT) RETURNS INTEGER
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF p_done IN (0, 4) THEN
    UPDATE tasks SET history = p_history WHERE id = p_id AND ns = p_ns;
  END IF;
  RETURN p_done;
END
$$;
