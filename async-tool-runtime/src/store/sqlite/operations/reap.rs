//! `reap`.

use std::time::Duration;

use rusqlite::OptionalExtension;

use super::super::error::Done;
use super::super::rows::{self, Stored, hot};
use super::super::sessions::Moment;
use super::super::statement;
use super::super::work::Work;
use super::{claim, notices, remove};
use crate::store::sessions::{Kept, Verdict};
use crate::store::{Change, Reaped};
use crate::task::{Takeover, TaskRecord, Timestamp};

/// The tasks that a dead session owns.
const OF_SESSION: &str = concat!(
    "SELECT ",
    hot!(),
    " FROM tasks t INDEXED BY tasks_owner \
     WHERE t.ns = ?1 AND t.owner = ?2 AND t.format <= ?3 LIMIT ?4"
);
/// Queued tasks whose deadline has passed.
const LATE: &str = concat!(
    "SELECT ",
    hot!(),
    " FROM tasks t INDEXED BY tasks_deadline \
     WHERE t.ns = ?1 AND t.status = 0 AND t.deadline <= ?2 AND t.format <= ?3 \
     ORDER BY t.deadline LIMIT ?4"
);
/// Tasks whose retention is over.
const EXPIRED: &str = concat!(
    "SELECT ",
    hot!(),
    " FROM tasks t INDEXED BY tasks_expiry \
     WHERE t.ns = ?1 AND t.expires_at IS NOT NULL AND t.expires_at <= ?2 AND t.format <= ?3 \
     ORDER BY t.expires_at LIMIT ?4"
);

/// The answer, if there is nothing to do.
pub(in super::super) fn look(
    work: &mut Work<'_>,
    ns: i64,
    now: Timestamp,
    moment: Moment,
) -> Done<Option<Reaped>> {
    let verdict = work.judge(ns, moment)?;
    for dead in &verdict.dead {
        if !find(work, OF_SESSION, ns, dead.session.to_bytes(), 1)?.is_empty() {
            return Ok(None);
        }
    }
    let moment = rows::integer(now.0);
    if !find(work, LATE, ns, moment, 1)?.is_empty()
        || !find(work, EXPIRED, ns, moment, 1)?.is_empty()
    {
        return Ok(None);
    }
    let mut reaped = Reaped::default();
    foresee(work, ns, &verdict, now, &mut reaped)?;
    Ok(Some(reaped))
}

pub(in super::super) fn reap(
    work: &mut Work<'_>,
    ns: i64,
    limit: usize,
    now: Timestamp,
    moment: Moment,
) -> Done<Reaped> {
    let mut reaped = Reaped::default();
    let verdict = work.judge(ns, moment)?;
    let mut left = limit;
    let mut may_start = false;
    for dead in &verdict.dead {
        for mut stored in find(work, OF_SESSION, ns, dead.session.to_bytes(), left)? {
            left -= 1;
            let id = stored.record.id;
            may_start |= !stored.record.concurrency.is_empty();
            match work.change(ns, &mut stored, |record| record.take_over(now))? {
                Some(Takeover::Requeued) => reaped.requeued.push(id),
                Some(Takeover::Ended) => reaped.interrupted.push(id),
                Some(Takeover::Freed) | None => continue,
            }
            work.changed(ns, Change::Task(id));
        }
    }
    may_start |= !reaped.requeued.is_empty();

    let moment = rows::integer(now.0);
    for mut stored in find(work, LATE, ns, moment, limit)? {
        if work.change(ns, &mut stored, |record| record.expire(now))? {
            reaped.expired.push(stored.record.id);
            work.changed(ns, Change::Task(stored.record.id));
        }
    }
    for stored in find(work, EXPIRED, ns, moment, limit)? {
        may_start |= stored.record.owner.is_some() && !stored.record.concurrency.is_empty();
        remove(work, ns, stored.seq, &stored.record)?;
        reaped.purged.push(stored.record.id);
        work.changed(ns, Change::Task(stored.record.id));
    }
    if may_start {
        work.changed(ns, Change::Queued);
    }
    foresee(work, ns, &verdict, now, &mut reaped)?;
    Ok(reaped)
}

fn find(
    work: &Work<'_>,
    sql: &'static str,
    ns: i64,
    bound: impl rusqlite::ToSql,
    limit: usize,
) -> Done<Vec<Stored>> {
    let mut statement = statement::prepare(work.connection, sql)?;
    let mut found = statement.query((ns, bound, TaskRecord::FORMAT, rows::count(limit)))?;
    let mut tasks = Vec::new();
    while let Some(row) = found.next()? {
        tasks.push(rows::stored(row)?);
    }
    Ok(tasks)
}

/// What is ready or due, and when there may be something to do.
fn foresee(
    work: &mut Work<'_>,
    ns: i64,
    verdict: &Verdict,
    now: Timestamp,
    reaped: &mut Reaped,
) -> Done<()> {
    const DEADLINE: &str = "SELECT deadline FROM tasks INDEXED BY tasks_deadline \
         WHERE ns = ?1 AND status = 0 AND format <= ?3 AND ?2 = ?2 ORDER BY deadline LIMIT 1";
    const BACKOFF: &str = "SELECT not_before FROM tasks INDEXED BY tasks_backoff \
         WHERE ns = ?1 AND not_before > ?2 AND format <= ?3 ORDER BY not_before LIMIT 1";
    const EXPIRY: &str = "SELECT expires_at FROM tasks INDEXED BY tasks_expiry \
         WHERE ns = ?1 AND expires_at IS NOT NULL AND format <= ?3 AND ?2 = ?2 \
         ORDER BY expires_at LIMIT 1";
    // One that is due already is told of otherwise, and not looked for again and
    // again where nobody tells it.
    const NOTICE: &str = "SELECT notice_due FROM tasks INDEXED BY tasks_notices \
         WHERE ns = ?1 AND notice_due IS NOT NULL AND notice_due > ?2 AND format <= ?3 \
         ORDER BY notice_due LIMIT 1";

    reaped.notices = notices::is_any_due(work, ns, now)?;
    reaped.ready = claim::is_any_ready(work, ns, now)?;
    let mut next = verdict.next;
    for sql in [DEADLINE, BACKOFF, EXPIRY, NOTICE] {
        let mut statement = statement::prepare(work.connection, sql)?;
        let found = statement
            .query_row((ns, rows::integer(now.0), TaskRecord::FORMAT), |row| {
                row.get::<_, i64>(0)
            })
            .optional()?;
        if let Some(moment) = found {
            let left = Timestamp(moment.cast_unsigned()).since(now);
            next = Some(next.map_or(left, |next| next.min(left)));
        }
    }
    // More than the limit allowed.
    if has_more(work, ns, &verdict.dead)? {
        next = Some(Duration::ZERO);
    }
    reaped.next = next.map(|next| next.max(Duration::from_millis(1)));
    Ok(())
}

fn has_more(work: &Work<'_>, ns: i64, dead: &[Kept]) -> Done<bool> {
    for dead in dead {
        if !find(work, OF_SESSION, ns, dead.session.to_bytes(), 1)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
