//! The verbs that read, each in one statement and therefore at one moment.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::error::Done;
use super::rows::{self, listed, read};
use super::statement;
use crate::store::{Cursor, Filter, LogLine, Owner, StepRecord, encoding};
use crate::task::{Status, TaskId, TaskRecord, Timestamp};

pub(super) fn get(
    connection: &Connection,
    ns: i64,
    id: TaskId,
    now: Timestamp,
) -> Done<Option<TaskRecord>> {
    let mut statement = statement::prepare(
        connection,
        concat!(
            read!(),
            "t.id = ?1 AND t.ns = ?2 AND (t.expires_at IS NULL OR t.expires_at > ?3)"
        ),
    )?;
    let mut found = statement.query((id.to_bytes(), ns, rows::integer(now.0)))?;
    found.next()?.map(rows::whole).transpose()
}

pub(super) fn log(
    connection: &Connection,
    ns: i64,
    id: TaskId,
    limit: usize,
) -> Done<Vec<LogLine>> {
    let mut statement = statement::prepare(
        connection,
        "SELECT number, at, text FROM log \
         WHERE task = (SELECT seq FROM tasks WHERE id = ?1 AND ns = ?2) \
         ORDER BY number DESC LIMIT ?3",
    )?;
    let mut found = statement.query((id.to_bytes(), ns, rows::count(limit)))?;
    let mut lines = Vec::new();
    while let Some(row) = found.next()? {
        let at = Timestamp(rows::number(row, 1)?);
        lines.push(LogLine::new(rows::number(row, 0)?, at, rows::text(row, 2)?));
    }
    lines.reverse();
    Ok(lines)
}

pub(super) fn steps(connection: &Connection, ns: i64, id: TaskId) -> Done<Vec<StepRecord>> {
    let mut statement = statement::prepare(
        connection,
        "SELECT name, result FROM steps \
         WHERE task = (SELECT seq FROM tasks WHERE id = ?1 AND ns = ?2) ORDER BY step",
    )?;
    let mut found = statement.query((id.to_bytes(), ns))?;
    let mut steps = Vec::new();
    while let Some(row) = found.next()? {
        steps.push(StepRecord::new(rows::text(row, 0)?, rows::text(row, 1)?));
    }
    Ok(steps)
}

pub(super) fn list(
    connection: &Connection,
    ns: i64,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
    now: Timestamp,
) -> Done<Vec<TaskRecord>> {
    let (sql, values) = list_query(ns, filter, after, limit, now);
    let mut statement = statement::prepare(connection, &sql)?;
    let mut found = statement.query(params_from_iter(values))?;
    let mut records = Vec::new();
    while let Some(row) = found.next()? {
        records.push(rows::list_item(row)?);
    }
    Ok(records)
}

/// One of some dozen statements.
///
/// The index is named, since SQLite knows nothing of how many tasks an owner
/// or a tool has. What is queued or being worked on is little beside what has
/// ended, so there all of it is looked at.
///
/// Servers list for an owner. Lists for everybody are for whoever looks after
/// the store, and for them, completed tasks are taken to be no rare ones.
pub(super) fn list_query(
    ns: i64,
    filter: &Filter,
    after: Option<Cursor>,
    limit: usize,
    now: Timestamp,
) -> (String, Vec<Value>) {
    let (index, part) = match (filter.status, &filter.owner, &filter.tool) {
        (Some(Status::Queued), ..) => ("tasks_queued", ""),
        (Some(Status::Working | Status::InputRequired), ..) => {
            ("tasks_owner", " AND t.owner IS NOT NULL")
        }
        (Some(_), Owner::Nobody | Owner::Principal(_), _) => ("tasks_ended", " AND t.status >= 3"),
        (Some(Status::Failed | Status::Cancelled), Owner::Anybody, _) => {
            ("tasks_failed", " AND t.status > 3")
        }
        (_, Owner::Nobody | Owner::Principal(_), _) => ("tasks_of_principal", ""),
        (_, Owner::Anybody, Some(_)) => ("tasks_of_tool", ""),
        (_, Owner::Anybody, None) => ("tasks_listed", ""),
    };
    let mut sql = format!(
        concat!(
            "SELECT ",
            listed!(),
            " FROM tasks t INDEXED BY {} WHERE t.ns = ?{}"
        ),
        index, part
    );
    let mut values = vec![Value::from(ns)];
    match &filter.owner {
        Owner::Anybody => {}
        Owner::Nobody => sql.push_str(" AND t.principal IS NULL"),
        Owner::Principal(principal) => {
            sql.push_str(" AND t.principal = ?");
            values.push(principal.as_str().to_owned().into());
        }
    }
    if let Some(tool) = &filter.tool {
        sql.push_str(" AND t.tool = ?");
        values.push(tool.as_ref().to_owned().into());
    }
    if let Some(status) = filter.status {
        // A literal, so that partial indexes are considered.
        sql.push_str(" AND t.status = ");
        sql.push_str(&encoding::status_code(status).to_string());
    }
    if let Some(after) = after {
        sql.push_str(" AND (t.created_at, t.id) < (?, ?)");
        values.push(rows::integer(after.created_at.0).into());
        values.push(after.id.to_bytes().to_vec().into());
    }
    sql.push_str(
        " AND (t.expires_at IS NULL OR t.expires_at > ?) AND t.format <= ? \
         ORDER BY t.created_at DESC, t.id DESC LIMIT ?",
    );
    values.push(rows::integer(now.0).into());
    values.push(TaskRecord::FORMAT.into());
    values.push(rows::count(limit).into());
    (sql, values)
}
