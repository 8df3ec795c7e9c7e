//! Between records and rows.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rusqlite::{Connection, Row};

use super::error::{Done, Fault};
use super::statement;
use crate::progress::ProgressState;
use crate::task::{
    ConcurrencyLimit, Epoch, Fingerprint, Outcome, Principal, SessionId, Status, TaskFailure,
    TaskId, TaskRecord, Timestamp,
};

/// The columns that transitions look at; see [`Stored`].
macro_rules! hot {
    () => {
        "t.format, t.seq, t.id, t.status, t.epoch, t.revision, t.report, t.attempt, \
         t.max_attempts, t.owner, t.not_before, t.created_at, t.started_at, t.finished_at, \
         t.deadline, t.retention, t.tool, t.concurrency_key, t.concurrency_limit, t.cancel"
    };
}
pub(super) use hot;

/// [`hot`] and what clients read besides; the result, if any, is to be the next
/// column.
macro_rules! read {
    () => {
        concat!(super::rows::hot!(), ", t.principal, t.progress, t.outcome")
    };
}
pub(super) use read;

/// How many columns that are.
const HOT_COLUMNS: usize = 20;

pub(super) const QUEUED: i64 = 0;

pub(super) fn status_code(status: Status) -> i64 {
    match status {
        Status::Queued => QUEUED,
        Status::Working => 1,
        Status::InputRequired => 2,
        Status::Completed => 3,
        Status::Failed => 4,
        Status::Cancelled => 5,
    }
}

pub(super) fn status(code: i64) -> Done<Status> {
    Ok(match code {
        QUEUED => Status::Queued,
        1 => Status::Working,
        2 => Status::InputRequired,
        3 => Status::Completed,
        4 => Status::Failed,
        5 => Status::Cancelled,
        _ => return Err(damaged("status")),
    })
}

/// A task as transitions see it: without arguments and outcome, which none of
/// them reads, and with [`unread`] progress.
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

/// From the columns of [`hot`].
pub(super) fn stored(row: &Row<'_>) -> Done<Stored> {
    let format: i64 = row.get(0)?;
    if format > i64::from(TaskRecord::FORMAT) {
        return Err(Fault::newer_record(format));
    }
    let owner: Option<[u8; 16]> = row.get(9)?;
    let concurrency = match row.get_ref(17)?.as_str_or_null().map_err(wrong_type)? {
        Some(key) => Some(Arc::new(ConcurrencyLimit::new(key, row.get(18)?))),
        None => None,
    };
    let record = TaskRecord {
        id: TaskId::from_bytes(row.get(2)?),
        tool: text(row, 16)?,
        principal: None,
        arguments: Arc::default(),
        status: status(row.get(3)?)?,
        attempt: row.get(7)?,
        max_attempts: row.get(8)?,
        concurrency,
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
        cancel: optional_text(row, 19)?,
        progress: Some(Arc::clone(unread())),
        outcome: None,
    };
    Ok(Stored {
        seq: row.get(1)?,
        record,
    })
}

/// From the columns of [`read`], and the result of a completed task if
/// `with_result`.
pub(super) fn record(row: &Row<'_>, with_result: bool) -> Done<TaskRecord> {
    let mut record = stored(row)?.record;
    record.principal = optional_text(row, HOT_COLUMNS)?.map(Principal::new);
    record.progress = match row.get_ref(HOT_COLUMNS + 1)?.as_str_or_null() {
        Ok(Some(json)) => Some(Arc::new(
            serde_json::from_str(json).map_err(|_| damaged("progress"))?,
        )),
        Ok(None) => None,
        Err(error) => return Err(wrong_type(error)),
    };
    record.outcome = match record.status {
        Status::Completed if with_result => Some(Outcome::Completed(text(row, HOT_COLUMNS + 3)?)),
        Status::Completed => Some(Outcome::Completed(Arc::default())),
        Status::Failed => {
            let json = row.get_ref(HOT_COLUMNS + 2)?;
            let json = json.as_str().map_err(wrong_type)?;
            let failure: TaskFailure =
                serde_json::from_str(json).map_err(|_| damaged("outcome"))?;
            Some(Outcome::Failed(Box::new(failure)))
        }
        Status::Cancelled => Some(Outcome::Cancelled(text(row, HOT_COLUMNS + 2)?)),
        Status::Queued | Status::Working | Status::InputRequired => None,
    };
    Ok(record)
}

/// How an outcome is kept; results are in a table of their own.
pub(super) fn outcome_text(outcome: &Outcome) -> Done<Option<String>> {
    Ok(match outcome {
        Outcome::Completed(_) => None,
        Outcome::Failed(failure) => Some(json(failure)?),
        Outcome::Cancelled(reason) => Some(reason.as_ref().to_owned()),
    })
}

pub(super) fn json(value: &impl serde::Serialize) -> Done<String> {
    serde_json::to_string(value)
        .map_err(|error| Fault::other(format!("SQLite store: not to be written as JSON: {error}")))
}

pub(super) fn text(row: &Row<'_>, column: usize) -> Done<Arc<str>> {
    let text = row.get_ref(column)?;
    Ok(text.as_str().map_err(wrong_type)?.into())
}

fn optional_text(row: &Row<'_>, column: usize) -> Done<Option<Arc<str>>> {
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

/// A principal as part of a primary key, which nulls could not be: somebody is
/// told from nobody by the first character.
pub(super) fn scope(principal: Option<&Principal>) -> String {
    principal.map_or_else(String::new, |principal| format!("={principal}"))
}

/// With the version of its algorithm: those of different versions are never
/// equal.
pub(super) fn fingerprint(fingerprint: Fingerprint) -> [u8; 33] {
    let mut bytes = [Fingerprint::VERSION; 33];
    bytes[1..].copy_from_slice(fingerprint.as_bytes());
    bytes
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
