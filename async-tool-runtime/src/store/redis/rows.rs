//! Between records and what scripts tell of them.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;

use super::error::{damaged, say};
use super::script::{self, Reply};
use crate::store::sessions::Kept;
use crate::store::{LogLine, StoreError, encoding};
use crate::task::{
    Epoch, Input, Notice, Outcome, Principal, SessionId, Status, TaskId, TaskRecord, Timestamp,
};

/// A record as a script tells it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) record: TaskRecord,
    pub(super) body: Body,
}

/// The arguments or the result that go with it.
#[derive(Debug)]
pub(super) enum Body {
    Here(Arc<str>),
    /// It is large, and still has to be read.
    Apart,
}

impl Row {
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        Reply::of(value)
            .and_then(read)
            .ok_or_else(|| damaged("a task"))
    }

    /// With the body as the result of a completed task.
    pub(super) fn with_result(mut self, body: Arc<str>) -> TaskRecord {
        if let Some(Outcome::Completed(result)) = &mut self.record.outcome {
            *result = body;
        }
        self.record
    }

    /// With the body as the arguments.
    pub(super) fn with_arguments(mut self, body: Arc<str>) -> TaskRecord {
        self.record.arguments = body;
        self.record
    }
}

/// In the order of `FIELDS` in `prelude.lua`.
fn read(mut row: Reply) -> Option<Row> {
    let row = &mut row;
    let _format: u32 = row.parsed()?;
    let status = encoding::status(row.parsed()?)?;
    let epoch = Epoch(row.parsed()?);
    let revision = row.parsed()?;
    let report = row.parsed()?;
    let attempt = row.parsed()?;
    let max_attempts = row.parsed()?;
    let owner = match row.maybe()? {
        Some(text) => Some(session_of(&text)?),
        None => None,
    };
    let not_before = row.maybe_parsed()?.map(Timestamp);
    let created_at = Timestamp(row.parsed()?);
    let started_at = row.maybe_parsed()?.map(Timestamp);
    let finished_at = row.maybe_parsed()?.map(Timestamp);
    let deadline = Timestamp(row.parsed()?);
    let retention = Duration::from_millis(row.parsed()?);
    let tool = row.text()?.into();
    let principal = row.text()?.strip_prefix('=').map(Principal::new);
    let concurrency = encoding::concurrency(row.maybe()?.as_deref()).ok()?;
    let cancel = row.maybe()?.map(Arc::from);
    let progress = match row.maybe()? {
        Some(json) => Some(Arc::new(serde_json::from_str(&json).ok()?)),
        None => None,
    };
    let outcome = encoding::outcome(status, row.maybe()?.as_deref(), Arc::default())?;
    let (_seq, _dedupe, _ahead) = (row.value()?, row.value()?, row.value()?);
    let questions = match row.maybe()? {
        Some(json) => serde_json::from_str(&json).ok()?,
        None => Vec::new(),
    };
    let asked_at = row.maybe_parsed()?.map(Timestamp);
    let origin = match row.maybe()? {
        Some(json) => Some(Arc::new(serde_json::from_str(&json).ok()?)),
        None => None,
    };
    let number = row.maybe_parsed()?;
    let due = row.maybe_parsed()?.map(Timestamp);
    let state = row.maybe()?.map(Arc::from);
    let notice = number.map(|number| Notice { number, due, state });
    let id: TaskId = row.parsed()?;
    let body = match row.value()? {
        Value::Int(_) => Body::Apart,
        Value::Nil => Body::Here(Arc::default()),
        value => Body::Here(script::text(value)?.into()),
    };
    let history = row.maybe()?.map(Arc::from);
    let record = TaskRecord {
        id,
        tool,
        principal,
        arguments: Arc::default(),
        status,
        attempt,
        max_attempts,
        concurrency,
        epoch,
        owner,
        revision,
        report,
        not_before,
        created_at,
        started_at,
        finished_at,
        deadline,
        retention,
        cancel,
        progress,
        history,
        origin,
        notice,
        input: asked_at.map(|at| Arc::new(Input::new(questions, at))),
        outcome,
    };
    Some(Row { record, body })
}

/// 32 hexadecimal digits.
pub(super) fn session(session: SessionId) -> String {
    TaskId::from_bytes(session.to_bytes()).to_string()
}

pub(super) fn session_of(text: &str) -> Option<SessionId> {
    let id: TaskId = text.parse().ok()?;
    Some(SessionId::from_bytes(id.to_bytes()))
}

pub(super) fn status(text: &str) -> Option<Status> {
    encoding::status(text.parse().ok()?)
}

/// A session that owns something, as `se` has it: `BEATS LEASE`.
pub(super) fn kept(session: &str, value: &str) -> Option<Kept> {
    let (beats, lease) = value.split_once(' ')?;
    Some(Kept {
        session: session_of(session)?,
        beats: beats.parse().ok()?,
        lease: Duration::from_millis(lease.parse().ok()?),
    })
}

/// One line of a log, as the list has it: `NUMBER TIME TEXT`.
pub(super) fn line(line: &LogLine) -> String {
    format!("{} {} {}", line.number, line.at.0, line.text)
}

pub(super) fn line_of(text: &str) -> Option<LogLine> {
    let (number, rest) = text.split_once(' ')?;
    let (at, text) = rest.split_once(' ')?;
    let at = Timestamp(at.parse().ok()?);
    Some(LogLine::new(number.parse().ok()?, at, text))
}

/// A script that met a record of a later version.
pub(super) fn newer(mut reply: Reply) -> StoreError {
    match reply.parsed() {
        Some(format) => StoreError::new(encoding::newer_record(format)),
        None => damaged("a task's format"),
    }
}

/// A large value was sent ahead, and is not there any more.
pub(super) fn lost() -> StoreError {
    say("a large value that was sent ahead is gone; try again")
}
