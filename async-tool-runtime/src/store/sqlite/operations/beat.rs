//! `beat`.

use std::sync::Arc;

use super::super::error::Done;
use super::super::rows::{self};
use super::super::sessions::Moment;
use super::super::statement;
use super::super::work::Work;
use super::append;
use crate::store::{Beat, Change, Lease, Owned, Report};
use crate::task::{Epoch, SessionId, TaskId, TaskRecord};

pub(in super::super) fn beat(
    work: &mut Work<'_>,
    ns: i64,
    lease: Lease,
    reports: &[Report],
    moment: Moment,
) -> Done<Beat> {
    for report in reports {
        keep(work, ns, report)?;
    }
    let owned = owned_by(work, ns, lease.session)?;
    if !owned.is_empty() {
        work.renew(ns, lease, moment);
    }
    Ok(Beat::new(owned))
}

fn keep(work: &mut Work<'_>, ns: i64, report: &Report) -> Done<()> {
    let Some(mut stored) = rows::load_known(work.connection, ns, report.id)? else {
        return Ok(());
    };
    let before = stored.record.revision;
    let late = report.number <= stored.record.report;
    if late
        || work
            .change(ns, &mut stored, |record| record.report(report))?
            .is_err()
    {
        return Ok(());
    }
    append(work.connection, stored.seq, &report.log)?;
    if stored.record.revision > before {
        work.changed(ns, Change::Task(report.id));
    }
    Ok(())
}

/// Everything that a session owns.
pub(in super::super) fn owned_by(work: &Work<'_>, ns: i64, session: SessionId) -> Done<Vec<Owned>> {
    let mut statement = statement::prepare(
        work.connection,
        "SELECT id, epoch, cancel, status FROM tasks INDEXED BY tasks_owner \
         WHERE ns = ?1 AND owner = ?2 AND format <= ?3",
    )?;
    let mut found = statement.query((ns, session.to_bytes(), TaskRecord::FORMAT))?;
    let mut owned = Vec::new();
    while let Some(row) = found.next()? {
        let cancel: Option<Arc<str>> = row.get(2)?;
        owned.push(Owned {
            id: TaskId::from_bytes(row.get(0)?),
            epoch: Epoch(rows::number(row, 1)?),
            cancel,
            lingers: rows::status(row.get(3)?)?.is_terminal(),
        });
    }
    Ok(owned)
}
