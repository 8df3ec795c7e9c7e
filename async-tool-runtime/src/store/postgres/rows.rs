//! Between records and rows.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::error::{Done, damaged, other};
use super::text;
use crate::store::encoding;
use crate::task::{
    ConcurrencyLimit, Epoch, Input, Notice, Origin, Principal, Question, SessionId, Status, TaskId,
    TaskRecord, Timestamp,
};

/// The columns of a record of the table `t`, as [`record`] reads them. Two are
/// to follow: the result of a completed task, and the history.
pub(super) const COLUMNS: &str = "t.format, t.id, t.status, t.epoch, t.revision, t.report, \
     t.attempt, t.max_attempts, t.owner, t.not_before, t.created_at, t.started_at, \
     t.finished_at, t.deadline, t.retention, t.tool, t.scope, t.concurrency, t.cancel, \
     t.progress, t.outcome, t.input::text, t.origin, t.notice, t.notice_due, t.notice_state";

const BODY: usize = 26;
const HISTORY: usize = 27;
/// What a statement tells besides.
pub(super) const BESIDES: usize = 28;

/// The table `t` of [`COLUMNS`], of the task whose id a function gave in the
/// same statement: as the function left it, with its result as `body`.
pub(super) fn task_now(id: &str) -> String {
    format!("(SELECT (n.t).*, n.body FROM @.task_now($1, {id}) n) t")
}

pub(super) fn record(row: &Row) -> Done<TaskRecord> {
    let format: i32 = get(row, 0)?;
    if i64::from(format) > i64::from(TaskRecord::FORMAT) {
        return Err(crate::store::StoreError::new(encoding::newer_record(
            i64::from(format),
        )));
    }
    let status = status(get(row, 2)?)?;
    let result: Option<String> = match status {
        Status::Completed => get(row, BODY)?,
        _ => None,
    };
    let outcome: Option<&str> = get(row, 20)?;
    let outcome = match status {
        Status::Cancelled => outcome.map(text::read),
        _ => outcome.map(Into::into),
    };
    let progress: Option<&str> = get(row, 19)?;
    let progress = progress
        .map(|json| serde_json::from_str(json).map_err(|_| damaged("progress")))
        .transpose()?;
    let owner: Option<Uuid> = get(row, 8)?;
    Ok(TaskRecord {
        id: id(row, 1)?,
        tool: text::read(get(row, 15)?).into(),
        principal: principal(get(row, 16)?),
        arguments: Arc::default(),
        status,
        attempt: small(row, 6)?,
        max_attempts: small(row, 7)?,
        concurrency: concurrency(get(row, 17)?)?,
        epoch: Epoch(number(row, 3)?),
        owner: owner.map(|owner| SessionId::from_bytes(owner.into_bytes())),
        revision: number(row, 4)?,
        report: number(row, 5)?,
        not_before: moment(row, 9)?,
        created_at: Timestamp(number(row, 10)?),
        started_at: moment(row, 11)?,
        finished_at: moment(row, 12)?,
        deadline: Timestamp(number(row, 13)?),
        retention: Duration::from_millis(number(row, 14)?),
        cancel: optional_text(row, 18)?,
        progress,
        history: optional_text(row, HISTORY)?,
        origin: origin(get(row, 22)?)?.map(Arc::new),
        notice: notice(row, 23)?,
        input: input(get(row, 21)?)?.map(Arc::new),
        outcome: encoding::outcome(
            status,
            outcome.as_deref(),
            result.map_or_else(Arc::default, Arc::from),
        )
        .ok_or_else(|| damaged("outcome"))?,
    })
}

/// A record that has the arguments instead of a result.
pub(super) fn claimed(row: &Row) -> Done<TaskRecord> {
    let body: String = get(row, BODY)?;
    Ok(TaskRecord {
        arguments: body.into(),
        ..record(row)?
    })
}

pub(super) fn get<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Done<T> {
    row.try_get(column)
        .map_err(|_| other("an answer cannot be read; is the schema one of this crate?"))
}

pub(super) fn id(row: &Row, column: usize) -> Done<TaskId> {
    let id: Uuid = get(row, column)?;
    Ok(TaskId::from_bytes(id.into_bytes()))
}

pub(super) fn number(row: &Row, column: usize) -> Done<u64> {
    Ok(get::<i64>(row, column)?.cast_unsigned())
}

pub(super) fn status(code: i16) -> Done<Status> {
    encoding::status(i64::from(code)).ok_or_else(|| damaged("status"))
}

fn small(row: &Row, column: usize) -> Done<u32> {
    u32::try_from(get::<i64>(row, column)?).map_err(|_| damaged("number of attempts"))
}

fn moment(row: &Row, column: usize) -> Done<Option<Timestamp>> {
    let moment: Option<i64> = get(row, column)?;
    Ok(moment.map(|moment| Timestamp(moment.cast_unsigned())))
}

fn principal(scope: &str) -> Option<Principal> {
    scope
        .strip_prefix('=')
        .map(|principal| Principal::new(text::read(principal)))
}

/// As a function is given them; the attempt is the one that asks.
pub(super) fn questions(questions: &[Question], epoch: Epoch) -> Done<String> {
    let kept: Vec<Question> = questions
        .iter()
        .map(|question| Question {
            epoch: Epoch(integer(epoch.0).cast_unsigned()),
            ..texts(question, text::kept)
        })
        .collect();
    text::json(&kept)
}

fn origin(json: Option<&str>) -> Done<Option<Origin>> {
    json.map(|json| serde_json::from_str(json).map_err(|_| damaged("origin")))
        .transpose()
}

/// From three columns: number, due, state.
fn notice(row: &Row, column: usize) -> Done<Option<Notice>> {
    let number: Option<i64> = get(row, column)?;
    let Some(number) = number else {
        return Ok(None);
    };
    Ok(Some(Notice {
        number: number.cast_unsigned(),
        due: moment(row, column + 1)?,
        state: optional_text(row, column + 2)?,
    }))
}

fn optional_text(row: &Row, column: usize) -> Done<Option<Arc<str>>> {
    let kept: Option<&str> = get(row, column)?;
    Ok(kept.map(|kept| text::read(kept).into()))
}

fn input(json: Option<&str>) -> Done<Option<Input>> {
    let Some(json) = json else {
        return Ok(None);
    };
    let mut input: Input = serde_json::from_str(json).map_err(|_| damaged("input"))?;
    for question in &mut input.questions {
        *question = texts(question, text::read);
    }
    Ok(Some(input))
}

/// A question whose texts are written otherwise.
fn texts(question: &Question, write: impl Fn(&str) -> Cow<'_, str>) -> Question {
    let [key, message, schema] =
        [&question.key, &question.message, &question.schema].map(|text| write(text).into_owned());
    Question::new(key, message, schema, question.epoch)
}

/// As the table has the keys that a task needs.
pub(super) fn limits(concurrency: &[ConcurrencyLimit]) -> Vec<String> {
    concurrency
        .iter()
        .map(|limit| format!("{}:{}", limit.limit, text::kept(&limit.key)))
        .collect()
}

fn concurrency(limits: Vec<&str>) -> Done<Arc<[ConcurrencyLimit]>> {
    limits
        .into_iter()
        .map(|entry| {
            let (limit, key) = entry.split_once(':')?;
            Some(ConcurrencyLimit::new(text::read(key), limit.parse().ok()?))
        })
        .collect::<Option<Arc<[_]>>>()
        .ok_or_else(|| damaged("concurrency"))
}

/// PostgreSQL's integers end at 2^63; so does what is kept.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn uuid(bytes: [u8; 16]) -> Uuid {
    Uuid::from_bytes(bytes)
}
