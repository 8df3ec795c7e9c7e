//! Between records and rows.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rusqlite::{Connection, Row};

use super::error::{Done, Fault};
use super::statement;
use crate::progress::ProgressState;
use crate::store::encoding;
use crate::task::{
    ConcurrencyLimit, Epoch, Input, Notice, Origin, Principal, SessionId, Status, TaskId,
    TaskRecord, Timestamp,
};

/// The columns that transitions look at; see [`Stored`].
macro_rules! hot {
    () => {
        "t.format, t.seq, t.id, t.status, t.epoch, t.revision, t.report, t.attempt, \
         t.max_attempts, t.owner, t.not_before, t.created_at, t.started_at, t.finished_at, \
         t.deadline, t.retention, t.tool, t.concurrency, t.cancel, t.notice, t.notice_due, \
         t.notice_state"
    };
}
pub(super) use hot;

/// [`hot`] and what lists tell besides.
macro_rules! listed {
    () => {
        concat!(
            super::rows::hot!(),
            ", t.principal, t.progress, t.outcome, t.input, t.origin"
        )
    };
}
pub(super) use listed;

/// Everything that clients read of one task; a condition on `t` is to follow.
macro_rules! read {
    () => {
        concat!(
            "SELECT ",
            super::rows::listed!(),
            ", t.history, r.body FROM tasks t \
             LEFT JOIN results r ON r.task = t.seq AND t.status = 3 WHERE "
        )
    };
}
pub(super) use read;

/// How many columns [`hot`] has.
pub(super) const HOT_COLUMNS: usize = 22;

/// A task as transitions see it: without arguments, outcome, history and
/// origin, which none of them reads, and with [`unread`] progress and
/// [`unread_input`].
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) seq: i64,
    pub(super) record: TaskRecord,
}

/// Stands for progress that was not read: what still has it after a
/// transition has not been changed by it.
pub(super) fn unread() -> &'static Arc<ProgressState> {
    static UNREAD: OnceLock<Arc<ProgressState>> = OnceLock::new();
    UNREAD.get_or_init(Arc::default)
}

/// Likewise for what was asked. Only those transitions read it that are about
/// questions.
pub(super) fn unread_input() -> &'static Arc<Input> {
    static UNREAD: OnceLock<Arc<Input>> = OnceLock::new();
    UNREAD.get_or_init(|| Arc::new(Input::new(Vec::new(), Timestamp(0))))
}

pub(super) fn status(code: i64) -> Done<Status> {
    encoding::status(code).ok_or_else(|| damaged("status"))
}

/// From the columns of [`hot`].
pub(super) fn stored(row: &Row<'_>) -> Done<Stored> {
    let format: i64 = row.get(0)?;
    if format > i64::from(TaskRecord::FORMAT) {
        return Err(Fault::newer_record(format));
    }
    let owner: Option<[u8; 16]> = row.get(9)?;
    let record = TaskRecord {
        id: TaskId::from_bytes(row.get(2)?),
        tool: text(row, 16)?,
        principal: None,
        arguments: Arc::default(),
        status: status(row.get(3)?)?,
        attempt: row.get(7)?,
        max_attempts: row.get(8)?,
        concurrency: concurrency(row, 17)?,
        epoch: Epoch(number(row, 4)?),
        owner: owner.map(SessionId::from_bytes),
        revision: number(row, 5)?,
        report: number(row, 6)?,
        not_before: moment(row, 10)?,
        created_at: Timestamp(number(row, 11)?),
        started_at: moment(row, 12)?,
        finished_at: moment(row, 13)?,
        deadline: Timestamp(number(row, 14)?),
        retention: Duration::from_millis(number(row, 15)?),
        cancel: optional_text(row, 18)?,
        progress: Some(Arc::clone(unread())),
        history: None,
        origin: None,
        notice: notice(row, 19)?,
        input: Some(Arc::clone(unread_input())),
        outcome: None,
    };
    Ok(Stored {
        seq: row.get(1)?,
        record,
    })
}

/// From the columns of [`listed`].
pub(super) fn list_item(row: &Row<'_>) -> Done<TaskRecord> {
    record(row, None)
}

/// From the columns of [`read`].
pub(super) fn whole(row: &Row<'_>) -> Done<TaskRecord> {
    let mut record = record(row, Some(HOT_COLUMNS + 6))?;
    record.history = optional_text(row, HOT_COLUMNS + 5)?;
    Ok(record)
}

fn record(row: &Row<'_>, result: Option<usize>) -> Done<TaskRecord> {
    let mut record = stored(row)?.record;
    record.principal = optional_text(row, HOT_COLUMNS)?.map(Principal::new);
    record.progress = match row.get_ref(HOT_COLUMNS + 1)?.as_str_or_null() {
        Ok(Some(json)) => Some(Arc::new(
            serde_json::from_str(json).map_err(|_| damaged("progress"))?,
        )),
        Ok(None) => None,
        Err(error) => return Err(wrong_type(error)),
    };
    record.input = input(row, HOT_COLUMNS + 3)?;
    record.origin = origin(row, HOT_COLUMNS + 4)?;
    let result = match (record.status, result) {
        (Status::Completed, Some(column)) => text(row, column)?,
        _ => Arc::default(),
    };
    let kept = row.get_ref(HOT_COLUMNS + 2)?.as_str_or_null();
    record.outcome = encoding::outcome(record.status, kept.map_err(wrong_type)?, result)
        .ok_or_else(|| damaged("outcome"))?;
    Ok(record)
}

/// What a task's attempts asked.
pub(super) fn input(row: &Row<'_>, column: usize) -> Done<Option<Arc<Input>>> {
    let json = row.get_ref(column)?.as_str_or_null().map_err(wrong_type)?;
    json.map(|json| serde_json::from_str(json).map_err(|_| damaged("input")))
        .transpose()
}

/// What is kept of the call that made a task.
pub(super) fn origin(row: &Row<'_>, column: usize) -> Done<Option<Arc<Origin>>> {
    let json = row.get_ref(column)?.as_str_or_null().map_err(wrong_type)?;
    json.map(|json| serde_json::from_str(json).map_err(|_| damaged("origin")))
        .transpose()
}

/// From three columns: number, due, state.
fn notice(row: &Row<'_>, column: usize) -> Done<Option<Notice>> {
    let number: Option<i64> = row.get(column)?;
    let Some(number) = number else {
        return Ok(None);
    };
    Ok(Some(Notice {
        number: number.cast_unsigned(),
        due: moment(row, column + 1)?,
        state: optional_text(row, column + 2)?,
    }))
}

/// The keys that a task needs.
pub(super) fn concurrency(row: &Row<'_>, column: usize) -> Done<Arc<[ConcurrencyLimit]>> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(wrong_type)?;
    encoding::concurrency(text).map_err(|_| damaged("concurrency"))
}

pub(super) fn json(value: &impl serde::Serialize) -> Done<String> {
    serde_json::to_string(value).map_err(not_json)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn not_json(error: serde_json::Error) -> Fault {
    Fault::other(format!("SQLite store: not to be written as JSON: {error}"))
}

pub(super) fn text(row: &Row<'_>, column: usize) -> Done<Arc<str>> {
    let text = row.get_ref(column)?;
    Ok(text.as_str().map_err(wrong_type)?.into())
}

pub(super) fn optional_text(row: &Row<'_>, column: usize) -> Done<Option<Arc<str>>> {
    let text = row.get_ref(column)?;
    Ok(text.as_str_or_null().map_err(wrong_type)?.map(Arc::from))
}

pub(super) fn number(row: &Row<'_>, column: usize) -> Done<u64> {
    let number: i64 = row.get(column)?;
    Ok(number.cast_unsigned())
}

pub(super) fn moment(row: &Row<'_>, column: usize) -> Done<Option<Timestamp>> {
    let moment: Option<i64> = row.get(column)?;
    Ok(moment.map(|moment| Timestamp(moment.cast_unsigned())))
}

/// SQLite's integers end at 2^63; so does what is kept.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn damaged(column: &str) -> Fault {
    Fault::other(format!("SQLite store: the {column} of a task is damaged"))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn wrong_type(error: rusqlite::types::FromSqlError) -> Fault {
    Fault::other(format!("SQLite store: a value is damaged: {error}"))
}

/// A task by its id, for a transition.
pub(super) fn load(connection: &Connection, ns: i64, id: TaskId) -> Done<Option<Stored>> {
    const SQL: &str = concat!(
        "SELECT ",
        hot!(),
        " FROM tasks t WHERE t.id = ?1 AND t.ns = ?2"
    );
    let mut statement = statement::prepare(connection, SQL)?;
    let mut rows = statement.query((id.to_bytes(), ns))?;
    rows.next()?.map(stored).transpose()
}

/// As [`load`], with what was asked.
pub(super) fn load_asking(connection: &Connection, ns: i64, id: TaskId) -> Done<Option<Stored>> {
    const SQL: &str = concat!(
        "SELECT ",
        hot!(),
        ", t.input FROM tasks t WHERE t.id = ?1 AND t.ns = ?2"
    );
    let mut statement = statement::prepare(connection, SQL)?;
    let mut rows = statement.query((id.to_bytes(), ns))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let mut stored = stored(row)?;
    stored.record.input = input(row, HOT_COLUMNS)?;
    Ok(Some(stored))
}

/// As [`load`], without what a newer version wrote: that is not for us.
pub(super) fn load_known(connection: &Connection, ns: i64, id: TaskId) -> Done<Option<Stored>> {
    const SQL: &str = concat!(
        "SELECT ",
        hot!(),
        " FROM tasks t WHERE t.id = ?1 AND t.ns = ?2 AND t.format <= ?3"
    );
    let mut statement = statement::prepare(connection, SQL)?;
    let mut rows = statement.query((id.to_bytes(), ns, TaskRecord::FORMAT))?;
    rows.next()?.map(stored).transpose()
}

/// A task by its place, as `get` reads it.
pub(super) fn load_whole(connection: &Connection, seq: i64) -> Done<TaskRecord> {
    let mut statement = statement::prepare(connection, concat!(read!(), "t.seq = ?1"))?;
    let mut found = statement.query([seq])?;
    match found.next()? {
        Some(row) => whole(row),
        None => Err(rusqlite::Error::QueryReturnedNoRows.into()),
    }
}
