//! What is told outside, and what an operator deletes: `claim_notices`,
//! `settle_notice`, `purge`.

use std::time::Duration;

use super::error::Done;
use super::handle::{one, params};
use super::namespace::{Namespace, format};
use super::rows::{self, COLUMNS};
use super::text::kept;
use crate::store::{Change, Purged};
use crate::task::{TaskId, TaskRecord, Told};

pub(super) async fn claim(
    namespace: &Namespace,
    pause: Duration,
    limit: usize,
) -> Done<Vec<TaskRecord>> {
    let sql = format!(
        "SELECT {COLUMNS}, t.body, t.history \
         FROM @.claim_notices($1, $2, $3, $4) AS c(id) CROSS JOIN LATERAL {}",
        rows::task_now("c.id")
    );
    let params = params![
        namespace.ns,
        format(),
        rows::millis(pause),
        rows::count(limit)
    ];
    namespace
        .handle
        .query(&sql, params, |rows| rows.iter().map(rows::record).collect())
        .await
}

pub(super) async fn settle(namespace: &Namespace, told: &Told) -> Done<bool> {
    let params = params![
        namespace.ns,
        format(),
        rows::uuid(told.id.to_bytes()),
        rows::integer(told.number),
        rows::integer(told.due.0),
        kept(&told.state).into_owned(),
        told.again.map(rows::millis),
    ];
    let sql = "SELECT @.settle_notice($1, $2, $3, $4, $5, $6, $7)";
    namespace
        .handle
        .query(sql, params, |rows| rows::get(one(rows)?, 0))
        .await
}

pub(super) async fn purge(namespace: &Namespace, id: TaskId) -> Done<Option<Purged>> {
    let params = params![namespace.ns, format(), rows::uuid(id.to_bytes())];
    let sql = "SELECT @.purge_task($1, $2, $3)";
    namespace
        .handle
        .write(namespace.ns, sql, params, move |rows| {
            let code: i32 = rows::get(one(rows)?, 0)?;
            Ok(match code {
                0 => (None, Vec::new()),
                1 => (Some(Purged::NotEnded), Vec::new()),
                2 => (Some(Purged::InUse), Vec::new()),
                _ => (Some(Purged::Gone), vec![Change::Task(id)]),
            })
        })
        .await
}
