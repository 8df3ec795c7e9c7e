//! What is told outside, and what an operator deletes: `claim_notices`,
//! `settle_notice`, `purge`.

use std::time::Duration;

use super::super::error::Done;
use super::super::rows;
use super::super::statement;
use super::super::work::Work;
use super::{is_expired, remove};
use crate::store::{Change, Purged};
use crate::task::{TaskId, TaskRecord, Timestamp, Told};

/// Notices that are due; those of tasks whose retention is over are nobody's
/// any more.
const DUE: &str = "SELECT t.id FROM tasks t INDEXED BY tasks_notices \
     WHERE t.ns = ?1 AND t.notice_due IS NOT NULL AND t.notice_due <= ?2 AND t.format <= ?3 \
     AND (t.expires_at IS NULL OR t.expires_at > ?2) \
     ORDER BY t.notice_due, t.id LIMIT ?4";

/// Whether a claim would find something.
pub(in super::super) fn is_any_due(work: &Work<'_>, ns: i64, now: Timestamp) -> Done<bool> {
    Ok(!due(work, ns, 1, now)?.is_empty())
}

pub(in super::super) fn claim_notices(
    work: &mut Work<'_>,
    ns: i64,
    pause: Duration,
    limit: usize,
    now: Timestamp,
) -> Done<Vec<TaskRecord>> {
    let mut claimed = Vec::new();
    for id in due(work, ns, limit, now)? {
        let Some(mut stored) = rows::load(work.connection, ns, id)? else {
            continue;
        };
        if work.change(ns, &mut stored, |record| record.claim_notice(pause, now))? {
            claimed.push(rows::load_whole(work.connection, stored.seq)?);
        }
    }
    Ok(claimed)
}

fn due(work: &Work<'_>, ns: i64, limit: usize, now: Timestamp) -> Done<Vec<TaskId>> {
    let mut statement = statement::prepare(work.connection, DUE)?;
    let (now, limit) = (rows::integer(now.0), rows::count(limit));
    let mut found = statement.query((ns, now, TaskRecord::FORMAT, limit))?;
    let mut ids = Vec::new();
    while let Some(row) = found.next()? {
        ids.push(TaskId::from_bytes(row.get(0)?));
    }
    Ok(ids)
}

pub(in super::super) fn settle_notice(
    work: &mut Work<'_>,
    ns: i64,
    told: &Told,
    now: Timestamp,
) -> Done<bool> {
    let Some(mut stored) = rows::load(work.connection, ns, told.id)? else {
        return Ok(false);
    };
    if is_expired(&stored.record, now) {
        return Ok(false);
    }
    work.change(ns, &mut stored, |record| record.settle_notice(told, now))
}

pub(in super::super) fn purge(
    work: &mut Work<'_>,
    ns: i64,
    id: TaskId,
    now: Timestamp,
) -> Done<Option<Purged>> {
    let Some(stored) = rows::load(work.connection, ns, id)? else {
        return Ok(None);
    };
    if is_expired(&stored.record, now) {
        return Ok(None);
    }
    let purged = stored.record.purge();
    if purged == Purged::Gone {
        remove(work, ns, stored.seq, &stored.record)?;
        work.changed(ns, Change::Task(id));
    }
    Ok(Some(purged))
}
