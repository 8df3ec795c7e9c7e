//! Questions of tasks, and answers: `ask`, `answer`.

use std::sync::Arc;

use rusqlite::OptionalExtension;

use super::super::error::Done;
use super::super::rows;
use super::super::statement;
use super::super::work::Work;
use super::is_expired;
use crate::store::{Answered, Change, StepRecord};
use crate::task::{Epoch, Question, Refused, TaskId, Timestamp};

pub(in super::super) fn ask(
    work: &mut Work<'_>,
    ns: i64,
    id: TaskId,
    epoch: Epoch,
    questions: &[Question],
    revision: u64,
    now: Timestamp,
) -> Done<Result<(), Refused>> {
    let Some(mut stored) = rows::load_asking(work.connection, ns, id)? else {
        return Ok(Err(Refused::Fenced));
    };
    let mut open = Vec::with_capacity(questions.len());
    for question in questions {
        let step = StepRecord::answer(&question.key, "");
        if recorded(work, stored.seq, &step)?.is_none() {
            open.push(question.clone());
        }
    }
    let before = stored.record.revision;
    let asked = work.change(ns, &mut stored, |record| {
        record.ask(epoch, open, revision, now)
    })?;
    if stored.record.revision > before {
        work.changed(ns, Change::Task(id));
    }
    Ok(asked)
}

pub(in super::super) fn answer(
    work: &mut Work<'_>,
    ns: i64,
    id: TaskId,
    step: &StepRecord,
    key: &str,
    now: Timestamp,
) -> Done<Option<Answered>> {
    let Some(mut stored) = rows::load_asking(work.connection, ns, id)? else {
        return Ok(None);
    };
    if is_expired(&stored.record, now) {
        return Ok(None);
    }
    if stored.record.status.is_terminal() {
        return Ok(Some(Answered::Ended));
    }
    if let Some(known) = recorded(work, stored.seq, step)? {
        return Ok(Some(Answered::Before(known)));
    }
    if !work.change(ns, &mut stored, |record| record.answer(key, now))? {
        return Ok(Some(Answered::NotAsked));
    }
    super::end::keep_step(work, stored.seq, step)?;
    work.changed(ns, Change::Task(id));
    Ok(Some(Answered::Recorded))
}

/// The result of a step that has been recorded.
fn recorded(work: &Work<'_>, seq: i64, step: &StepRecord) -> Done<Option<Arc<str>>> {
    let mut statement = statement::prepare(
        work.connection,
        "SELECT result FROM steps WHERE task = ?1 AND name = ?2",
    )?;
    let found = statement.query_row((seq, step.name.as_ref()), |row| row.get(0));
    Ok(found.optional()?)
}
