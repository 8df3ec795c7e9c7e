//! `create`.

use std::time::Duration;

use tokio_postgres::Row;

use super::error::{Done, other};
use super::handle::{one, params};
use super::namespace::{Namespace, format};
use super::rows::{self, BESIDES, COLUMNS};
use super::text::{digest, json, kept};
use crate::store::{Admission, Change, Created, Limit, MAX_KEYS, encoding};
use crate::task::{Fingerprint, NewTask, TaskRecord, Timestamp};

pub(super) async fn create(
    namespace: &Namespace,
    new: NewTask,
    admission: Admission,
) -> Done<Created> {
    loop {
        // The one that exists may be gone before it is read.
        if let Some(created) = accept(namespace, new.clone(), admission).await? {
            return Ok(created);
        }
    }
}

/// What the statement told, and whether the session was renewed.
struct Accepted {
    created: Option<Created>,
    renewed: bool,
}

async fn accept(
    namespace: &Namespace,
    new: NewTask,
    admission: Admission,
) -> Done<Option<Created>> {
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
        new.origin.as_deref().map(json).transpose()?,
        new.notify,
        admission.principal_queue.map(rows::count),
    ];
    let sql = format!(
        "SELECT {COLUMNS}, t.body, t.history, c.kind, c.number, c.id \
         FROM @.create_task($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
         $17, $18, $19, $20, $21, $22, $23) c LEFT JOIN LATERAL {} ON true",
        rows::task_now("CASE WHEN c.kind = 3 THEN c.id END")
    );
    let accepted = namespace
        .handle
        .write(namespace.ns, &sql, params, move |rows| {
            let accepted = read(one(rows)?, new, admission, max_records)?;
            let queued =
                matches!(&accepted.created, Some(Created::New(record)) if record.owner.is_none());
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
    Ok(accepted.created)
}

/// The kinds are those of `create.sql`.
fn read(row: &Row, new: NewTask, admission: Admission, max_records: usize) -> Done<Accepted> {
    let kind: i16 = rows::get(row, BESIDES)?;
    let created = match (kind, admission.claim) {
        (0, _) => Created::New(admitted(row, new)?),
        (1 | 2, Some(lease)) => {
            let mut record = admitted(row, new)?;
            let now = record.created_at;
            record.claim(lease.session, now);
            Created::New(record)
        }
        (3, _) if rows::get::<Option<i32>>(row, 0)?.is_none() => {
            return Ok(Accepted {
                created: None,
                renewed: false,
            });
        }
        (3, _) => Created::Existing(rows::record(row)?),
        (4, _) => Created::Conflict(rows::id(row, BESIDES + 2)?),
        (5, _) => Created::Full(Limit::ToolQueue(admission.tool_queue)),
        (6, _) => Created::Full(Limit::Queue(admission.queue)),
        (7, _) => Created::Full(Limit::Records(max_records)),
        (8, _) => Created::Full(Limit::Keys(MAX_KEYS)),
        (9, _) => Created::Full(Limit::PrincipalQueue(
            admission.principal_queue.unwrap_or_default(),
        )),
        _ => return Err(other("an answer cannot be read")),
    };
    Ok(Accepted {
        created: Some(created),
        renewed: kind == 2,
    })
}

fn admitted(row: &Row, new: NewTask) -> Done<TaskRecord> {
    let now = Timestamp(rows::number(row, BESIDES + 1)?);
    let mut record = TaskRecord::admit(new, now);
    // What is told is what is kept.
    record.deadline = Timestamp(rows::integer(record.deadline.0).cast_unsigned());
    let retention = rows::millis(record.retention).cast_unsigned();
    record.retention = Duration::from_millis(retention);
    Ok(record)
}
