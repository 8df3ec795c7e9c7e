//! `create`.

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use super::error::{Done, other};
use super::handle::{one, params};
use super::namespace::{Namespace, format};
use super::text::{digest, kept};
use super::{reads, rows};
use crate::store::{Admission, Change, Created, Limit, MAX_KEYS, encoding};
use crate::task::{Fingerprint, NewTask, TaskRecord, Timestamp};

pub(super) async fn create(
    namespace: &Namespace,
    new: NewTask,
    admission: Admission,
) -> Done<Created> {
    loop {
        let accepted = accept(namespace, new.clone(), admission).await?;
        match accepted.created {
            Created::Existing(record) if accepted.asked => {
                if let Some(record) = reads::get(namespace, record.id).await? {
                    return Ok(Created::Existing(record));
                }
                // Its retention has just ended, and so has the key.
            }
            created => return Ok(created),
        }
    }
}

struct Accepted {
    created: Created,
    /// The session was renewed.
    renewed: bool,
    /// It is a task that exists and has asked something, which the answer does
    /// not tell.
    asked: bool,
}

async fn accept(namespace: &Namespace, new: NewTask, admission: Admission) -> Done<Accepted> {
    let beats = namespace.handle.next_beat();
    let max_records = namespace.max_records;
    let scope = encoding::scope(new.principal.as_ref());
    let fingerprint = |fingerprint: Fingerprint| encoding::fingerprint(fingerprint).to_vec();
    let params = params![
        namespace.ns,
        rows::uuid(new.id.to_bytes()),
        format(),
        new.key.as_ref().map(|key| digest(&[
            scope.as_bytes(),
            new.tool.as_bytes(),
            key.key.as_bytes()
        ])),
        new.key.as_ref().map(|key| fingerprint(key.fingerprint)),
        new.dedupe.map(|dedupe| digest(&[
            scope.as_bytes(),
            new.tool.as_bytes(),
            &fingerprint(dedupe),
        ])),
        kept(&new.tool).into_owned(),
        kept(&scope).into_owned(),
        kept(&new.arguments).into_owned(),
        rows::limits(&new.concurrency),
        i64::from(new.max_attempts),
        rows::millis(new.max_wait),
        rows::millis(new.retention),
        rows::count(admission.tool_queue),
        rows::count(admission.queue),
        rows::count(max_records),
        i32::try_from(MAX_KEYS).unwrap_or(i32::MAX),
        admission
            .claim
            .map(|lease| rows::uuid(lease.session.to_bytes())),
        admission
            .claim
            .map_or(0, |lease| rows::millis(lease.duration)),
        beats,
    ];
    let sql = "SELECT *, NULL::text FROM @.create_task($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
               $13, $14, $15, $16, $17, $18, $19, $20)";
    let accepted = namespace
        .handle
        .write(namespace.ns, sql, params, move |rows| {
            let accepted = read(one(rows)?, new, admission, max_records)?;
            let queued =
                matches!(&accepted.created, Created::New(record) if record.owner.is_none());
            let changes = if queued {
                vec![Change::Queued]
            } else {
                Vec::new()
            };
            Ok((accepted, changes))
        })
        .await?;
    if let Some(lease) = admission.claim.filter(|_| accepted.renewed) {
        namespace.handle.renewed(namespace.ns, lease.session, beats);
    }
    Ok(accepted)
}

/// The kinds are those of `create.sql`.
fn read(row: &Row, new: NewTask, admission: Admission, max_records: usize) -> Done<Accepted> {
    let kind: i16 = rows::get(row, 0)?;
    let mut asked = false;
    let created = match (kind, admission.claim) {
        (0, _) => Created::New(admitted(row, new)?),
        (1 | 2, Some(lease)) => {
            let mut record = admitted(row, new)?;
            let now = record.created_at;
            record.claim(lease.session, now);
            Created::New(record)
        }
        (3, _) => {
            asked = rows::get::<i32>(row, 2)? > 1;
            Created::Existing(rows::record(row)?)
        }
        (4, _) => {
            let id: Uuid = rows::get(row, 3)?;
            Created::Conflict(crate::task::TaskId::from_bytes(id.into_bytes()))
        }
        (5, _) => Created::Full(Limit::ToolQueue(admission.tool_queue)),
        (6, _) => Created::Full(Limit::Queue(admission.queue)),
        (7, _) => Created::Full(Limit::Records(max_records)),
        (8, _) => Created::Full(Limit::Keys(MAX_KEYS)),
        _ => return Err(other("an answer cannot be read")),
    };
    Ok(Accepted {
        created,
        renewed: kind == 2,
        asked,
    })
}

fn admitted(row: &Row, new: NewTask) -> Done<TaskRecord> {
    let now = Timestamp(rows::number(row, 1)?);
    let mut record = TaskRecord::admit(new, now);
    // What is told is what is kept.
    record.deadline = Timestamp(rows::integer(record.deadline.0).cast_unsigned());
    let retention = rows::millis(record.retention).cast_unsigned();
    record.retention = Duration::from_millis(retention);
    Ok(record)
}
