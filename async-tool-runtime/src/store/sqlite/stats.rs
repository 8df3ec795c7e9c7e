//! What operators ask.

use std::time::Duration;

use rusqlite::{Connection, Row};

use super::error::Done;
use super::rows;
use super::statement;
use crate::store::{QueueStats, SessionStats, Stats};
use crate::task::{SessionId, Timestamp};

/// The namespaces that have tasks. There are few, so all of them are looked at.
pub(super) fn namespaces(connection: &Connection) -> Done<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT name FROM namespaces WHERE records > 0 ORDER BY name")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn stats(connection: &Connection, ns: i64, now: Timestamp) -> Done<Stats> {
    // All of it at one moment.
    let connection = &connection.unchecked_transaction()?;
    let owners = owners(connection, ns)?;
    Ok(Stats {
        queues: queues(connection, ns)?,
        running: owners.iter().map(|owner| owner.running).sum(),
        records: count(
            connection,
            "SELECT coalesce(sum(records), 0) FROM namespaces WHERE ns = ?1",
            ns,
        )?,
        notices: count(
            connection,
            "SELECT count(*) FROM tasks INDEXED BY tasks_notices \
             WHERE ns = ?1 AND notice_due IS NOT NULL",
            ns,
        )?,
        sessions: owners.into_iter().map(|owner| owner.session).collect(),
        at: now,
    })
}

fn queues(connection: &Connection, ns: i64) -> Done<Vec<QueueStats>> {
    let mut statement = statement::prepare(
        connection,
        "SELECT q.tool, q.queued, t.created_at FROM queues q JOIN tasks t ON t.seq = \
         (SELECT o.seq FROM tasks o INDEXED BY tasks_queued \
          WHERE o.ns = q.ns AND o.tool = q.tool AND o.status = 0 ORDER BY o.seq LIMIT 1) \
         WHERE q.ns = ?1 AND q.queued > 0 ORDER BY q.tool",
    )?;
    let mut found = statement.query([ns])?;
    let mut queues = Vec::new();
    while let Some(row) = found.next()? {
        let oldest = Timestamp(rows::number(row, 2)?);
        queues.push(QueueStats::new(
            rows::text(row, 0)?,
            amount(row, 1)?,
            oldest,
        ));
    }
    Ok(queues)
}

struct Owner {
    session: SessionStats,
    running: usize,
}

fn owners(connection: &Connection, ns: i64) -> Done<Vec<Owner>> {
    let mut statement = statement::prepare(
        connection,
        "SELECT s.session, s.beats, s.lease, count(*), sum(t.status < 3) \
         FROM sessions s JOIN tasks t INDEXED BY tasks_owner \
         ON t.ns = s.ns AND t.owner = s.session AND t.owner IS NOT NULL \
         WHERE s.ns = ?1 GROUP BY s.session",
    )?;
    let mut found = statement.query([ns])?;
    let mut owners = Vec::new();
    while let Some(row) = found.next()? {
        owners.push(Owner {
            session: SessionStats::new(
                SessionId::from_bytes(row.get(0)?),
                amount(row, 3)?,
                rows::number(row, 1)?,
                Duration::from_millis(rows::number(row, 2)?),
            ),
            running: amount(row, 4)?,
        });
    }
    Ok(owners)
}

fn count(connection: &Connection, sql: &str, ns: i64) -> Done<usize> {
    let mut statement = statement::prepare(connection, sql)?;
    Ok(statement.query_row([ns], |row| amount(row, 0))?)
}

fn amount(row: &Row<'_>, column: usize) -> rusqlite::Result<usize> {
    let amount: i64 = row.get(column)?;
    Ok(usize::try_from(amount).unwrap_or(0))
}
