//! What ends an attempt or prepares its end: `finish`, `release`,
//! `put_result`, `record_step`, `request_cancel`.

use std::sync::Arc;

use rusqlite::OptionalExtension;

use super::super::error::{Done, Fault};
use super::super::rows::{self, Stored};
use super::super::statement;
use super::super::work::Work;
use super::{append, is_expired};
use crate::store::{Change, StepRecord};
use crate::task::{CancelAck, End, Epoch, Outcome, Refused, Release, TaskId, Timestamp};

type Answer = Done<Result<(), Refused>>;

pub(in super::super) fn finish(
    work: &mut Work<'_>,
    ns: i64,
    id: TaskId,
    epoch: Epoch,
    end: &End,
    now: Timestamp,
) -> Answer {
    let mut stored = match owned(work, ns, id, epoch)? {
        Ok(stored) => stored,
        Err(refused) => return Ok(Err(refused)),
    };
    if end.ahead {
        if result_epoch(work, stored.seq)? != Some(rows::integer(epoch.0)) {
            return Err(Fault::other("the result was not put ahead"));
        }
    } else if let Outcome::Completed(result) = &end.outcome {
        keep_result(work, stored.seq, epoch, result)?;
    }
    append(work.connection, stored.seq, &end.log)?;
    let mut end = end.clone();
    end.log = Vec::new();
    if end.ahead {
        end.outcome = Outcome::Completed(Arc::default());
    }
    let finished = work.change(ns, &mut stored, |record| record.finish(epoch, end, now))?;
    if finished.is_ok() {
        work.changed(ns, Change::Task(id));
        if !stored.record.concurrency.is_empty() && stored.record.owner.is_none() {
            work.changed(ns, Change::Queued);
        }
    }
    Ok(finished)
}

pub(in super::super) fn release(
    work: &mut Work<'_>,
    ns: i64,
    id: TaskId,
    epoch: Epoch,
    release: &Release,
    now: Timestamp,
) -> Answer {
    let Some(mut stored) = rows::load(work.connection, ns, id)? else {
        return Ok(Err(Refused::Fenced));
    };
    let log = match release {
        Release::Retry(retry) => retry.log.as_slice(),
        Release::NotStarted | Release::Stopped => &[],
    };
    let release = release.clone();
    let released = work.change(ns, &mut stored, |record| {
        record.release(epoch, release, now)
    })?;
    if released.is_ok() {
        append(work.connection, stored.seq, log)?;
        work.changed(ns, Change::Task(id));
        work.changed(ns, Change::Queued);
    }
    Ok(released)
}

pub(in super::super) fn put_result(
    work: &mut Work<'_>,
    ns: i64,
    id: TaskId,
    epoch: Epoch,
    result: &str,
) -> Answer {
    let stored = match owned(work, ns, id, epoch)? {
        Ok(stored) => stored,
        Err(refused) => return Ok(Err(refused)),
    };
    keep_result(work, stored.seq, epoch, result)?;
    Ok(Ok(()))
}

pub(in super::super) fn record_step(
    work: &mut Work<'_>,
    ns: i64,
    id: TaskId,
    epoch: Epoch,
    step: &StepRecord,
) -> Answer {
    let stored = match owned(work, ns, id, epoch)? {
        Ok(stored) => stored,
        Err(refused) => return Ok(Err(refused)),
    };
    keep_step(work, stored.seq, step)?;
    Ok(Ok(()))
}

/// Keeps the result of a step, unless there is one of its name.
pub(super) fn keep_step(work: &Work<'_>, seq: i64, step: &StepRecord) -> Done<()> {
    let mut statement = statement::prepare(
        work.connection,
        "INSERT INTO steps (task, name, result) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    statement.execute((seq, step.name.as_ref(), step.result.as_ref()))?;
    Ok(())
}

pub(in super::super) fn request_cancel(
    work: &mut Work<'_>,
    ns: i64,
    id: TaskId,
    reason: &Arc<str>,
    now: Timestamp,
) -> Done<Option<CancelAck>> {
    let Some(mut stored) = rows::load(work.connection, ns, id)? else {
        return Ok(None);
    };
    if is_expired(&stored.record, now) {
        return Ok(None);
    }
    let ack = work.change(ns, &mut stored, |record| record.request_cancel(reason, now))?;
    if ack == CancelAck::Requested {
        work.changed(ns, Change::Cancel(id));
    }
    if ack != CancelAck::Unchanged {
        work.changed(ns, Change::Task(id));
    }
    Ok(Some(ack))
}

/// A task that the epoch may write to.
fn owned(work: &Work<'_>, ns: i64, id: TaskId, epoch: Epoch) -> Done<Result<Stored, Refused>> {
    let Some(stored) = rows::load(work.connection, ns, id)? else {
        return Ok(Err(Refused::Fenced));
    };
    Ok(stored.record.fence(epoch).map(|()| stored))
}

fn keep_result(work: &Work<'_>, seq: i64, epoch: Epoch, result: &str) -> Done<()> {
    let mut statement = statement::prepare(
        work.connection,
        "INSERT OR REPLACE INTO results (task, epoch, body) VALUES (?1, ?2, ?3)",
    )?;
    statement.execute((seq, rows::integer(epoch.0), result))?;
    Ok(())
}

/// Which epoch has put a result ahead.
fn result_epoch(work: &Work<'_>, seq: i64) -> Done<Option<i64>> {
    let mut statement =
        statement::prepare(work.connection, "SELECT epoch FROM results WHERE task = ?1")?;
    Ok(statement.query_row([seq], |row| row.get(0)).optional()?)
}
