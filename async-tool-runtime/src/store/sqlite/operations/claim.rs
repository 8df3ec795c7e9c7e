//! `claim`, and what is ready to be claimed.

use std::sync::Arc;

use super::super::error::Done;
use super::super::rows::{self, HOT_COLUMNS, Stored, hot};
use super::super::sessions::Moment;
use super::super::statement;
use super::super::work::Work;
use crate::store::{Change, Lease, Want};
use crate::task::{Principal, TaskRecord, Timestamp};

/// Whether a claim would find something.
pub(in super::super) fn would_claim(
    work: &mut Work<'_>,
    ns: i64,
    wants: &[Want],
    limit: usize,
    now: Timestamp,
) -> Done<bool> {
    for want in wants {
        if limit > 0 && want.room > 0 && next_ready(work, ns, want, 0, now)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(in super::super) fn claim(
    work: &mut Work<'_>,
    ns: i64,
    lease: Lease,
    wants: &[Want],
    limit: usize,
    now: Timestamp,
    moment: Moment,
) -> Done<Vec<TaskRecord>> {
    let mut rooms: Vec<usize> = wants.iter().map(|want| want.room).collect();
    let mut oldest = Vec::with_capacity(wants.len());
    for want in wants {
        oldest.push(match want.room {
            0 => None,
            _ => next_ready(work, ns, want, 0, now)?,
        });
    }
    let mut claimed = Vec::new();
    while claimed.len() < limit {
        let candidates = oldest.iter().enumerate().filter(|(at, _)| rooms[*at] > 0);
        let Some((seq, at)) = candidates.filter_map(|(at, seq)| Some(((*seq)?, at))).min() else {
            break;
        };
        let mut stored = load(work, seq)?;
        // A claim of this round may have taken one of its concurrency keys.
        let room = work.has_room(ns, &stored.record.concurrency)?;
        if room && work.change(ns, &mut stored, |record| record.claim(lease.session, now))? {
            if stored.record.attempt > 1 {
                work.forget("DELETE FROM results WHERE task = ?1", seq)?;
            }
            work.changed(ns, Change::Task(stored.record.id));
            rooms[at] -= 1;
            claimed.push(stored.record);
        }
        oldest[at] = match rooms[at] {
            0 => None,
            _ => next_ready(work, ns, &wants[at], seq, now)?,
        };
    }
    if !claimed.is_empty() {
        work.renew(ns, lease, moment);
    }
    Ok(claimed)
}

/// Whether anything that is queued could be claimed.
pub(in super::super) fn is_any_ready(work: &mut Work<'_>, ns: i64, now: Timestamp) -> Done<bool> {
    if work.queued_in_all(ns)? == 0 {
        return Ok(false);
    }
    let mut statement = statement::prepare(
        work.connection,
        "SELECT concurrency FROM tasks INDEXED BY tasks_queued \
         WHERE ns = ?1 AND status = 0 AND (not_before IS NULL OR not_before <= ?2) \
         AND format <= ?3",
    )?;
    let mut queued = statement.query((ns, rows::integer(now.0), TaskRecord::FORMAT))?;
    while let Some(row) = queued.next()? {
        if work.has_room(ns, &rows::concurrency(row, 0)?)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The oldest task of a tool that could be claimed, after a place in its
/// queue.
fn next_ready(
    work: &mut Work<'_>,
    ns: i64,
    want: &Want,
    after: i64,
    now: Timestamp,
) -> Done<Option<i64>> {
    if work.queued(ns, &want.tool)? == 0 {
        return Ok(None);
    }
    let mut statement = statement::prepare(
        work.connection,
        "SELECT concurrency, seq FROM tasks INDEXED BY tasks_queued \
         WHERE ns = ?1 AND tool = ?2 AND status = 0 AND seq > ?3 \
         AND (not_before IS NULL OR not_before <= ?4) AND format <= ?5 ORDER BY seq",
    )?;
    let (tool, now) = (want.tool.as_ref(), rows::integer(now.0));
    let mut queued = statement.query((ns, tool, after, now, TaskRecord::FORMAT))?;
    while let Some(row) = queued.next()? {
        if work.has_room(ns, &rows::concurrency(row, 0)?)? {
            return Ok(Some(row.get(1)?));
        }
    }
    Ok(None)
}

/// A queued task with what its attempt needs.
fn load(work: &Work<'_>, seq: i64) -> Done<Stored> {
    let mut statement = statement::prepare(
        work.connection,
        concat!(
            "SELECT ",
            hot!(),
            ", t.input, t.origin, t.history, t.principal, a.body \
             FROM tasks t JOIN arguments a ON a.task = t.seq WHERE t.seq = ?1"
        ),
    )?;
    let mut found = statement.query([seq])?;
    let Some(row) = found.next()? else {
        return Err(rusqlite::Error::QueryReturnedNoRows.into());
    };
    let mut stored = rows::stored(row)?;
    stored.record.input = rows::input(row, HOT_COLUMNS)?;
    stored.record.origin = rows::origin(row, HOT_COLUMNS + 1)?;
    stored.record.history = rows::optional_text(row, HOT_COLUMNS + 2)?;
    let principal: Option<Arc<str>> = row.get("principal")?;
    stored.record.principal = principal.map(Principal::new);
    stored.record.arguments = row.get("body")?;
    Ok(stored)
}
