-- What a task's attempts asked, until it has ended: `at`, and `questions` with
-- `key`, `message`, `schema` (a text) and `epoch`. Records of tasks that have
-- asked are of format 2.
ALTER TABLE tasks ADD COLUMN input JSONB;

-- `end` of the state machine, for a row that the caller has locked and may
-- have changed in memory; `p_owner` is who keeps it while its body goes on.
CREATE OR REPLACE FUNCTION end_task(p_row tasks, p_status SMALLINT, p_outcome TEXT, p_owner UUID, p_now BIGINT)
RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
  v_finished BIGINT := greatest(p_now, p_row.created_at);
BEGIN
  UPDATE tasks SET status = p_status, epoch = p_row.epoch, revision = p_row.revision + 1,
      attempt = p_row.attempt, owner = p_owner, not_before = NULL,
      started_at = p_row.started_at, finished_at = v_finished,
      expires_at = later(v_finished, p_row.retention), cancel = p_row.cancel, progress = NULL,
      outcome = p_outcome, input = NULL
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

-- What was asked by a task that the caller has locked: calls of this within a
-- statement see what the statement did before.
CREATE FUNCTION input_of(p_ns INTEGER, p_id UUID) RETURNS TEXT LANGUAGE plpgsql VOLATILE
SET search_path FROM CURRENT AS $$
BEGIN
  RETURN (SELECT t.input::text FROM tasks t WHERE t.id = p_id AND t.ns = p_ns);
END
$$;

-- Answers as `fence` says. To the 0 of what made the revision grow 4 is added.
-- `p_digests` are those of the steps that would be the answers.
CREATE FUNCTION ask_questions(
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
  UPDATE tasks SET status = CASE WHEN v_asked = '[]' THEN 1 ELSE 2 END,
      revision = greatest(revision, p_revision) + 1, format = greatest(format, 2),
      input = jsonb_build_object('at', now_ms(), 'questions', v_others || v_asked)
    WHERE seq = v.seq;
  RETURN 4;
END
$$;

-- Kinds: 0 there is no such task, 1 recorded, 2 there was an answer before
-- (`body`), 3 no such question is open, 4 the task has ended. `p_digest` and
-- `p_name` are those of the step that is the answer.
CREATE FUNCTION answer_question(
  p_ns INTEGER, p_format INTEGER, p_id UUID, p_key TEXT,
  p_digest BYTEA, p_name TEXT, p_answer TEXT
) RETURNS TABLE (kind INTEGER, body TEXT) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v tasks;
  v_now BIGINT := now_ms();
  v_place INTEGER;
  v_waited BOOLEAN;
  v_left JSONB;
  v_status SMALLINT;
BEGIN
  SELECT t.* INTO v FROM tasks t WHERE t.id = p_id AND t.ns = p_ns FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 0, NULL::text;
    RETURN;
  END IF;
  PERFORM check_format(v.format, p_format);
  IF v.status >= 3 THEN
    RETURN QUERY SELECT CASE WHEN v.expires_at <= v_now THEN 0 ELSE 4 END, NULL::text;
    RETURN;
  END IF;
  RETURN QUERY SELECT 2, s.result FROM steps s WHERE s.task = v.seq AND s.digest = p_digest;
  IF FOUND THEN
    RETURN;
  END IF;
  SELECT q.place - 1, v.status = 2 AND (q.question ->> 'epoch')::bigint = v.epoch
    INTO v_place, v_waited
    FROM jsonb_array_elements(v.input -> 'questions') WITH ORDINALITY AS q(question, place)
    WHERE q.question ->> 'key' = p_key;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 3, NULL::text;
    RETURN;
  END IF;

  INSERT INTO steps (task, digest, name, result) VALUES (v.seq, p_digest, p_name, p_answer);
  v_left := (v.input -> 'questions') - v_place;
  v_status := v.status;
  IF v_waited AND NOT EXISTS
      (SELECT 1 FROM jsonb_array_elements(v_left) AS q(question)
        WHERE (q.question ->> 'epoch')::bigint = v.epoch) THEN
    v_status := 1;
  END IF;
  UPDATE tasks SET status = v_status, revision = revision + v_waited::int,
      input = jsonb_build_object(
        'at', CASE WHEN v_waited THEN to_jsonb(v_now) ELSE v.input -> 'at' END,
        'questions', v_left)
    WHERE seq = v.seq;
  RETURN QUERY SELECT 1, NULL::text;
END
$$;
