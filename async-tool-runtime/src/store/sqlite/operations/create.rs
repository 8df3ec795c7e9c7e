//! `create`.

use std::time::Duration;

use rusqlite::OptionalExtension;

use super::super::error::Done;
use super::super::rows;
use super::super::sessions::Moment;
use super::super::statement;
use super::super::work::Work;
use super::{claim, is_expired, remove};
use crate::store::{Admission, Change, Created, Limit, MAX_KEYS, encoding};
use crate::task::{NewTask, Principal, SessionId, Status, TaskRecord, Timestamp};

pub(in super::super) fn create(
    work: &mut Work<'_>,
    ns: i64,
    new: &NewTask,
    admission: Admission,
    now: Timestamp,
    moment: Moment,
    max_records: usize,
) -> Done<Created> {
    if let Some(known) = known(work, ns, new, now)? {
        return Ok(known);
    }
    if let Some(joined) = join(work, ns, new, now)? {
        return Ok(joined);
    }
    if work.records(ns)? >= max_records {
        return Ok(Created::Full(Limit::Records(max_records)));
    }
    let claim = match admission.claim {
        Some(lease)
            if work.has_room(ns, &new.concurrency)? && !claim::is_any_ready(work, ns, now)? =>
        {
            Some(lease)
        }
        _ => None,
    };
    if claim.is_none()
        && let Some(limit) = admission.principal_queue
        && let Some(principal) = &new.principal
        && is_full(work, ns, principal, limit)?
    {
        return Ok(Created::Full(Limit::PrincipalQueue(limit)));
    }
    if claim.is_none() {
        let waiting = work.queued(ns, &new.tool)?;
        if admission.claim.is_none() || waiting > 0 {
            if waiting >= admission.tool_queue {
                return Ok(Created::Full(Limit::ToolQueue(admission.tool_queue)));
            }
            if work.queued_in_all(ns)? >= admission.queue {
                return Ok(Created::Full(Limit::Queue(admission.queue)));
            }
        }
    }

    let mut record = TaskRecord::admit(new.clone(), now);
    // What is told is what is kept.
    record.created_at = kept(record.created_at);
    record.deadline = kept(record.deadline);
    record.retention = Duration::from_millis(rows::millis(record.retention).cast_unsigned());
    match claim {
        Some(lease) => {
            record.claim(lease.session, now);
            work.renew(ns, lease, moment);
        }
        None => work.changed(ns, Change::Queued),
    }
    let seq = insert(work, ns, new, &record)?;
    work.added(ns, seq, &record)?;
    Ok(Created::New(record))
}

/// Whether as many tasks of a principal are queued as may be.
fn is_full(work: &Work<'_>, ns: i64, principal: &Principal, limit: usize) -> Done<bool> {
    let Some(others) = limit.checked_sub(1) else {
        return Ok(true);
    };
    let mut statement = statement::prepare(
        work.connection,
        "SELECT 1 FROM tasks INDEXED BY tasks_queued_of \
         WHERE ns = ?1 AND principal = ?2 AND status = 0 LIMIT 1 OFFSET ?3",
    )?;
    Ok(statement.exists((ns, principal.as_str(), rows::count(others)))?)
}

fn kept(moment: Timestamp) -> Timestamp {
    Timestamp(rows::integer(moment.0).cast_unsigned())
}

fn insert(work: &mut Work<'_>, ns: i64, new: &NewTask, record: &TaskRecord) -> Done<i64> {
    let connection = work.connection;
    let mut statement = statement::prepare(
        connection,
        "INSERT INTO tasks (ns, id, format, status, epoch, revision, report, attempt, max_attempts, \
         owner, created_at, started_at, deadline, retention, keys, tool, principal, \
         concurrency, dedupe, origin, notice) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
         ?18, ?19, ?20)",
    )?;
    statement.execute(rusqlite::params![
        ns,
        record.id.to_bytes(),
        record.format(),
        encoding::status_code(record.status),
        rows::integer(record.epoch.0),
        rows::integer(record.revision),
        record.attempt,
        record.max_attempts,
        record.owner.map(SessionId::to_bytes),
        rows::integer(record.created_at.0),
        record.started_at.map(|moment| rows::integer(moment.0)),
        rows::integer(record.deadline.0),
        rows::millis(record.retention),
        i64::from(new.key.is_some()),
        record.tool.as_ref(),
        record.principal.as_ref().map(Principal::as_str),
        encoding::concurrency_text(&record.concurrency).map_err(rows::not_json)?,
        new.dedupe.map(encoding::fingerprint),
        record.origin.as_deref().map(rows::json).transpose()?,
        record
            .notice
            .as_ref()
            .map(|notice| rows::integer(notice.number)),
    ])?;
    let seq = connection.last_insert_rowid();
    statement::prepare(
        connection,
        "INSERT INTO arguments (task, body) VALUES (?1, ?2)",
    )?
    .execute((seq, record.arguments.as_ref()))?;
    add_key(work, ns, new, seq)?;
    Ok(seq)
}

/// Makes the call's key one of this task.
fn add_key(work: &Work<'_>, ns: i64, new: &NewTask, seq: i64) -> Done<()> {
    let Some(key) = &new.key else {
        return Ok(());
    };
    let mut statement = statement::prepare(
        work.connection,
        "INSERT INTO keys (ns, tool, scope, key, task, fingerprint) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    statement.execute((
        ns,
        new.tool.as_ref(),
        encoding::scope(new.principal.as_ref()),
        key.key.as_ref(),
        seq,
        encoding::fingerprint(key.fingerprint),
    ))?;
    Ok(())
}

/// The task that the call's key names.
fn known(work: &mut Work<'_>, ns: i64, new: &NewTask, now: Timestamp) -> Done<Option<Created>> {
    let Some(key) = &new.key else {
        return Ok(None);
    };
    let mut statement = statement::prepare(
        work.connection,
        "SELECT task, fingerprint FROM keys \
         WHERE ns = ?1 AND tool = ?2 AND scope = ?3 AND key = ?4",
    )?;
    let scope = encoding::scope(new.principal.as_ref());
    let found = statement
        .query_row((ns, new.tool.as_ref(), scope, key.key.as_ref()), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 33]>(1)?))
        })
        .optional()?;
    let Some((seq, fingerprint)) = found else {
        return Ok(None);
    };
    let record = rows::load_whole(work.connection, seq)?;
    if is_expired(&record, now) {
        remove(work, ns, seq, &record)?;
        return Ok(None);
    }
    Ok(Some(
        if fingerprint == encoding::fingerprint(key.fingerprint) {
            Created::Existing(record)
        } else {
            Created::Conflict(record.id)
        },
    ))
}

/// The equal task that this call shares from now on.
fn join(work: &mut Work<'_>, ns: i64, new: &NewTask, now: Timestamp) -> Done<Option<Created>> {
    let Some(dedupe) = new.dedupe else {
        return Ok(None);
    };
    let mut statement = statement::prepare(
        work.connection,
        "SELECT seq, keys FROM tasks INDEXED BY tasks_shared \
         WHERE ns = ?1 AND tool = ?2 AND dedupe = ?3 AND principal IS ?4 \
         AND dedupe IS NOT NULL AND status < 3 AND cancel IS NULL AND format <= ?5 \
         ORDER BY seq DESC LIMIT 1",
    )?;
    let principal = new.principal.as_ref().map(Principal::as_str);
    let tool = new.tool.as_ref();
    let found = statement
        .query_row(
            (
                ns,
                tool,
                encoding::fingerprint(dedupe),
                principal,
                TaskRecord::FORMAT,
            ),
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        )
        .optional()?;
    let Some((seq, keys)) = found else {
        return Ok(None);
    };
    let record = rows::load_whole(work.connection, seq)?;
    // Whoever notices first ends it.
    if record.status == Status::Queued && record.deadline <= now {
        return Ok(None);
    }
    if new.key.is_some() {
        if keys >= rows::count(MAX_KEYS) {
            return Ok(Some(Created::Full(Limit::Keys(MAX_KEYS))));
        }
        add_key(work, ns, new, seq)?;
        work.forget("UPDATE tasks SET keys = keys + 1 WHERE seq = ?1", seq)?;
    }
    Ok(Some(Created::Existing(record)))
}
