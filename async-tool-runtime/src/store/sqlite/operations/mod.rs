//! The verbs that write, each inside a transaction.
//!
//! They load a record, let `task::transition` decide, and keep what changed.
//! The time is given to them. One that fails leaves the rest to whoever began
//! the transaction, who rolls it back.

pub(super) mod beat;
pub(super) mod claim;
pub(super) mod create;
pub(super) mod end;
pub(super) mod notices;
pub(super) mod questions;
pub(super) mod reap;

use rusqlite::Connection;

use super::error::Done;
use super::rows;
use super::statement;
use super::work::Work;
use crate::store::LogLine;
use crate::task::{TaskRecord, Timestamp};

/// Adds lines to a task's log, in their order, each once, and keeps the last
/// ones.
fn append(connection: &Connection, task: i64, lines: &[LogLine]) -> Done<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut last: i64 = statement::prepare(
        connection,
        "SELECT coalesce(max(number), -1) FROM log WHERE task = ?1",
    )?
    .query_row([task], |row| row.get(0))?;
    let mut insert = statement::prepare(
        connection,
        "INSERT INTO log (task, number, at, text) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let surplus = lines.len().saturating_sub(LogLine::KEPT);
    for line in &lines[surplus..] {
        let number = rows::integer(line.number);
        if number > last {
            insert.execute((task, number, rows::integer(line.at.0), line.text.as_ref()))?;
            last = number;
        }
    }
    let mut trim = statement::prepare(
        connection,
        "DELETE FROM log WHERE task = ?1 AND number <= \
         (SELECT number FROM log WHERE task = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?;
    trim.execute((task, rows::count(LogLine::KEPT)))?;
    Ok(())
}

/// Deletes a task with everything that belongs to it.
fn remove(work: &mut Work<'_>, ns: i64, seq: i64, record: &TaskRecord) -> Done<()> {
    for sql in [
        "DELETE FROM tasks WHERE seq = ?1",
        "DELETE FROM arguments WHERE task = ?1",
        "DELETE FROM results WHERE task = ?1",
        "DELETE FROM keys WHERE task = ?1",
        "DELETE FROM steps WHERE task = ?1",
        "DELETE FROM log WHERE task = ?1",
    ] {
        work.forget(sql, seq)?;
    }
    work.removed(ns, seq, record)
}

fn is_expired(record: &TaskRecord, now: Timestamp) -> bool {
    record.expires_at().is_some_and(|expires| expires <= now)
}
