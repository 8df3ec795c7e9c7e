//! The verbs that read, each in one statement and therefore at one moment.

use super::error::Done;
use super::handle::{Param, params};
use super::namespace::{Namespace, format};
use super::rows::{self, COLUMNS};
use super::text;
use crate::store::{Cursor, Filter, LogLine, Owner, StepRecord, encoding};
use crate::task::{Principal, Status, TaskId, TaskRecord, Timestamp};

pub(super) async fn get(namespace: &Namespace, id: TaskId) -> Done<Option<TaskRecord>> {
    let sql = format!(
        "SELECT {COLUMNS}, r.body, t.history FROM @.tasks t \
         LEFT JOIN @.results r ON r.task = t.seq AND t.status = 3 \
         WHERE t.id = $1 AND t.ns = $2 AND (t.expires_at IS NULL OR t.expires_at > @.now_ms())"
    );
    let params = params![rows::uuid(id.to_bytes()), namespace.ns];
    namespace
        .handle
        .query(&sql, params, |rows| {
            rows.first().map(rows::record).transpose()
        })
        .await
}

pub(super) async fn log(namespace: &Namespace, id: TaskId, limit: usize) -> Done<Vec<LogLine>> {
    let params = params![
        rows::uuid(id.to_bytes()),
        namespace.ns,
        rows::count(limit.min(LogLine::KEPT)),
    ];
    namespace
        .handle
        .query(
            "SELECT l.number, l.at, l.text FROM @.log l \
             WHERE l.task = (SELECT t.seq FROM @.tasks t WHERE t.id = $1 AND t.ns = $2) \
             ORDER BY l.number DESC LIMIT $3",
            params,
            |rows| {
                let lines = rows.iter().rev().map(|row| {
                    let at = Timestamp(rows::number(row, 1)?);
                    let line = text::read(rows::get(row, 2)?);
                    Ok(LogLine::new(rows::number(row, 0)?, at, line))
                });
                lines.collect()
            },
        )
        .await
}

pub(super) async fn steps(namespace: &Namespace, id: TaskId) -> Done<Vec<StepRecord>> {
    namespace
        .handle
        .query(
            "SELECT s.name, s.result FROM @.steps s \
             WHERE s.task = (SELECT t.seq FROM @.tasks t WHERE t.id = $1 AND t.ns = $2) \
             ORDER BY s.step",
            params![rows::uuid(id.to_bytes()), namespace.ns],
            |rows| {
                let steps = rows.iter().map(|row| {
                    let name = text::read(rows::get(row, 0)?);
                    Ok(StepRecord::new(name, text::read(rows::get(row, 1)?)))
                });
                steps.collect()
            },
        )
        .await
}

pub(super) async fn list(
    namespace: &Namespace,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> Done<Vec<TaskRecord>> {
    let (sql, params) = list_query(namespace.ns, filter, after, limit);
    namespace
        .handle
        .query(&sql, params, |rows| rows.iter().map(rows::record).collect())
        .await
}

/// One of some dozen statements.
pub(super) fn list_query(
    ns: i32,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
) -> (String, Vec<Param>) {
    let mut sql =
        format!("SELECT {COLUMNS}, NULL::text, NULL::text FROM @.tasks t WHERE t.ns = $1");
    let mut params = params![ns];
    let mut value = |sql: &mut String, condition: &str, param: Param| {
        params.push(param);
        sql.push_str(&condition.replace('?', &format!("${}", params.len())));
    };
    match &filter.owner {
        Owner::Anybody => {}
        Owner::Nobody | Owner::Principal(_) => {
            let principal = match &filter.owner {
                Owner::Principal(principal) => Some(principal),
                _ => None::<&Principal>,
            };
            let scope = encoding::scope(principal);
            let scope = text::kept(&scope).into_owned();
            value(&mut sql, " AND t.scope = ?", Box::new(scope));
        }
    }
    if let Some(tool) = &filter.tool {
        let tool = text::kept(tool).into_owned();
        value(&mut sql, " AND t.tool = ?", Box::new(tool));
    }
    if let Some(status) = filter.status {
        // A literal, so that partial indexes are considered.
        sql.push_str(" AND t.status = ");
        sql.push_str(&encoding::status_code(status).to_string());
        if matches!(status, Status::Working | Status::InputRequired) {
            sql.push_str(" AND t.owner IS NOT NULL");
        }
    }
    if let Some(after) = after {
        let created_at = rows::integer(after.created_at.0);
        value(
            &mut sql,
            " AND (t.created_at, t.id) < (?, ",
            Box::new(created_at),
        );
        value(&mut sql, "?)", Box::new(rows::uuid(after.id.to_bytes())));
    }
    value(
        &mut sql,
        " AND (t.expires_at IS NULL OR t.expires_at > @.now_ms()) AND t.format <= ? \
         ORDER BY t.created_at DESC, t.id DESC LIMIT ",
        Box::new(format()),
    );
    value(&mut sql, "?", Box::new(rows::count(limit)));
    (sql, params)
}
