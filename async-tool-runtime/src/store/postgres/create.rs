//! `create`.

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use super::error::{Done, other};
use super::handle::{one, params};
use super::namespace::{Namespace, format};
use super::rows;
use super::text::{digest, kept};
use crate::store::{Admission, Change, Created, Limit, MAX_KEYS, encoding};
use crate::task::{Fingerprint, NewTask, TaskRecord, Timestamp};

pub(super) async fn create(
    namespace: &Namespace,
    new: NewTask,
    admission: Admission,
) -> Done<Created> {
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
    let sql = "SELECT * FROM @.create_task($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
               $13, $14, $15, $16, $17, $18, $19, $20)";
    let (created, renewed) = namespace
        .handle
        .write(namespace.ns, sql, params, move |rows| {
            let (created, renewed) = read(one(rows)?, new, admission, max_records)?;
            let queued = matches!(&created, Created::New(record) if record.owner.is_none());
            let changes = if queued {
                vec![Change::Queued]
            } else {
                Vec::new()
            };
            Ok(((created, renewed), changes))
        })
        .await?;
    if let Some(lease) = admission.claim.filter(|_| renewed) {
        namespace.handle.renewed(namespace.ns, lease.session, beats);
    }
    Ok(created)
}

/// The answer, and whether the session was renewed. The kinds are those of
/// `create.sql`.
fn read(
    row: &Row,
    new: NewTask,
    admission: Admission,
    max_records: usize,
) -> Done<(Created, bool)> {
    let kind: i16 = rows::get(row, 0)?;
    let created = match (kind, admission.claim) {
        (0, _) => Created::New(admitted(row, new)?),
        (1 | 2, Some(lease)) => {
            let mut record = admitted(row, new)?;
            let now = record.created_at;
            record.claim(lease.session, now);
            Created::New(record)
        }
        (3, _) => Created::Existing(rows::record(row)?),
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
    Ok((created, kind == 2))
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
