//! A task as it is shown: its fields to programs, a line to people.
//!
//! Where a field is also in the answers of servers, it has the same name here.
//! `docs/operators.md` documents them; names do not change.

use std::fmt::Write;

use async_tool_runtime::store::{
    Notice, Outcome, ProgressState, SessionId, Status, TaskFailure, TaskRecord, Timestamp,
};
use async_tool_runtime::{Principal, TaskId};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::output::Paint;
use crate::output::text::{clean, count, percent, short};

/// A moment, as text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A task, to programs.
#[derive(Debug, Serialize)]
pub(crate) struct TaskView<'a> {
    task_id: TaskId,
    tool: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    status: Status,
    done: bool,
    revision: u64,
    attempt: u32,
    max_attempts: u32,
    created_at: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
    deadline: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    questions: Vec<QuestionView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<NoticeView<'a>>,
}

#[derive(Debug, Serialize)]
struct ProgressView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    fraction: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_number: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_count: Option<usize>,
}

#[derive(Debug, Serialize)]
struct QuestionView<'a> {
    key: &'a str,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct ErrorView<'a> {
    code: &'a str,
    message: &'a str,
    retryable: bool,
}

#[derive(Debug, Serialize)]
struct NoticeView<'a> {
    number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a RawValue>,
}

impl<'a> TaskView<'a> {
    pub(crate) fn of(record: &'a TaskRecord) -> Self {
        let progress = record.progress.as_deref();
        let error = failure(record);
        Self {
            task_id: record.id,
            tool: &record.tool,
            principal: record.principal.as_ref().map(Principal::as_str),
            status: record.status,
            done: record.status.is_terminal(),
            revision: record.revision,
            attempt: record.attempt,
            max_attempts: record.max_attempts,
            created_at: Moment(record.created_at),
            started_at: record.started_at.map(Moment),
            finished_at: record.finished_at.map(Moment),
            expires_at: expires(record).map(Moment),
            deadline: Moment(record.deadline),
            retry_at: record.not_before.map(Moment),
            session: record.owner.map(session_text),
            cancel_reason: cancel_reason(record),
            message: progress.and_then(|progress| progress.message.as_deref()),
            progress: progress.and_then(ProgressView::of),
            questions: questions(record),
            error: error.map(|error| ErrorView {
                code: &error.code,
                message: &error.message,
                retryable: error.retryable,
            }),
            notice: record.notice.as_ref().map(|notice| NoticeView {
                number: notice.number,
                due: notice.due.map(Moment),
                state: state(notice),
            }),
        }
    }
}

impl<'a> ProgressView<'a> {
    /// None if there is nothing but a message.
    fn of(progress: &'a ProgressState) -> Option<Self> {
        let view = Self {
            fraction: progress.fraction,
            current: progress.current,
            total: progress.total,
            step: progress.step.as_deref(),
            step_number: progress.step_number,
            step_count: progress.step_count,
        };
        let is_empty = view.fraction.is_none()
            && view.current.is_none()
            && view.total.is_none()
            && view.step.is_none()
            && view.step_count.is_none();
        (!is_empty).then_some(view)
    }
}

fn questions(record: &TaskRecord) -> Vec<QuestionView<'_>> {
    let input = record.input.as_deref();
    let questions = input.map_or(&[][..], |input| &input.questions);
    questions
        .iter()
        .map(|question| QuestionView {
            key: &question.key,
            message: &question.message,
        })
        .collect()
}

/// Why it was asked to stop, or had ended on request.
pub(crate) fn cancel_reason(record: &TaskRecord) -> Option<&str> {
    match &record.outcome {
        Some(Outcome::Cancelled(reason)) => Some(reason),
        _ => record.cancel.as_deref(),
    }
}

/// The error of a failed task.
pub(crate) fn failure(record: &TaskRecord) -> Option<&TaskFailure> {
    match &record.outcome {
        Some(Outcome::Failed(failure)) => Some(failure),
        _ => None,
    }
}

/// When nobody can read it any more.
pub(crate) fn expires(record: &TaskRecord) -> Option<Timestamp> {
    Some(record.finished_at?.plus(record.retention))
}

/// What came of telling a notice. Text that is not the JSON that it should be
/// is left out.
fn state(notice: &Notice) -> Option<&RawValue> {
    serde_json::from_str(notice.state.as_deref()?).ok()
}

/// JSON text of somebody, or as a string what is no JSON.
pub(crate) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| {
        let string = Value::from(text).to_string();
        RawValue::from_string(string).unwrap_or_default()
    })
}

/// As logs of servers have it.
pub(crate) fn session_text(session: SessionId) -> String {
    let mut text = String::with_capacity(32);
    for byte in session.to_bytes() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// How statuses are painted.
pub(crate) fn paint(status: Status) -> Paint {
    match status {
        Status::Queued => Paint::Plain,
        Status::Working => Paint::Busy,
        Status::InputRequired => Paint::Warn,
        Status::Completed => Paint::Good,
        Status::Failed => Paint::Bad,
        Status::Cancelled => Paint::Faint,
    }
}

/// How long it waits or works; of an ended task how long it took.
pub(crate) fn time(record: &TaskRecord, now: Timestamp) -> String {
    let from = match record.status {
        Status::Queued => record.created_at,
        _ => record.started_at.unwrap_or(record.created_at),
    };
    short(record.finished_at.unwrap_or(now).since(from))
}

/// What is most worth knowing of it, on one line and without control
/// characters. `with_percent` unless there is a bar beside it.
pub(crate) fn detail(record: &TaskRecord, now: Timestamp, with_percent: bool) -> String {
    let detail = match record.status {
        Status::Completed => String::new(),
        Status::Cancelled => cancel_reason(record).unwrap_or_default().to_owned(),
        Status::Failed => failure(record).map_or_else(String::new, |failure| {
            format!("{}: {}", failure.code, failure.message)
        }),
        Status::Queued => queued(record, now),
        Status::Working => working(record, with_percent),
        Status::InputRequired => {
            let asked = record.input.as_deref().map_or(0, |it| it.questions.len());
            format!("has {}", count(asked, "question"))
        }
    };
    clean(&detail).into_owned()
}

fn queued(record: &TaskRecord, now: Timestamp) -> String {
    let message = message(record).unwrap_or_default();
    match record.not_before {
        _ if record.deadline <= now => "its deadline has passed".to_owned(),
        Some(moment) if moment > now => {
            format!("again in {}: {message}", short(moment.since(now)))
        }
        _ => message.to_owned(),
    }
}

fn working(record: &TaskRecord, with_percent: bool) -> String {
    if record.cancel.is_some() {
        return "was asked to stop".to_owned();
    }
    let Some(progress) = record.progress.as_deref() else {
        return String::new();
    };
    let mut parts = Vec::new();
    if with_percent && let Some(fraction) = progress.fraction {
        parts.push(percent(fraction));
    }
    let step = progress.step.as_deref();
    parts.extend(step.map(str::to_owned));
    // Which often begins with the name of the step.
    parts.extend(
        message(record)
            .filter(|it| Some(*it) != step)
            .map(str::to_owned),
    );
    parts.join(", ")
}

fn message(record: &TaskRecord) -> Option<&str> {
    record.progress.as_deref()?.message.as_deref()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_tool_runtime::store::NewTask;
    use serde_json::json;

    use super::*;

    fn record() -> TaskRecord {
        let id = "0123456789abcdef0123456789abcdef".parse().expect("an id");
        let (wait, retention) = (Duration::from_secs(60), Duration::from_secs(10));
        let new = NewTask::new(id, "build", "{\"secret\":1}", wait, retention);
        TaskRecord::admit(new, Timestamp(1000))
    }

    fn failed(code: &'static str, message: &str) -> TaskRecord {
        let mut record = record();
        record.status = Status::Failed;
        record.started_at = Some(Timestamp(2000));
        record.finished_at = Some(Timestamp(9500));
        let mut failure = TaskFailure::new(code, message);
        failure.details = Some(json!({ "secret": 2 }));
        record.outcome = Some(Outcome::Failed(Box::new(failure)));
        record
    }

    #[test]
    fn programs_get_what_applies_and_no_secrets() {
        let view = serde_json::to_value(TaskView::of(&record())).expect("JSON");
        assert_eq!(
            view,
            json!({
                "task_id": "0123456789abcdef0123456789abcdef", "tool": "build",
                "status": "queued", "done": false, "revision": 1, "attempt": 0, "max_attempts": 1,
                "created_at": "1970-01-01T00:00:01.000Z", "deadline": "1970-01-01T00:01:01.000Z",
            })
        );
        let failed = failed("tool_error", "no space");
        let view = serde_json::to_value(TaskView::of(&failed)).expect("JSON");
        assert_eq!(
            view["error"],
            json!({ "code": "tool_error", "message": "no space", "retryable": false })
        );
        assert_eq!(view["expires_at"], "1970-01-01T00:00:19.500Z");
        let mut completed = record();
        completed.status = Status::Completed;
        completed.outcome = Some(Outcome::Completed("\"secret\"".into()));
        let view = serde_json::to_string(&TaskView::of(&completed)).expect("JSON");
        assert!(!view.contains("secret"), "{view}");
    }

    #[test]
    fn a_line_says_what_matters() {
        let now = Timestamp(61_000);
        let failed = failed("tool_error", "no \x1b[31mspace");
        assert_eq!(
            detail(&failed, now, true),
            "tool_error: no \\u{1b}[31mspace"
        );
        assert_eq!(time(&failed, now), "7s");
        let mut task = record();
        assert_eq!(detail(&task, now, true), "its deadline has passed");
        assert_eq!(time(&task, now), "1m00s");
        task.not_before = Some(Timestamp(5000));
        task.progress = Some(Arc::new(
            serde_json::from_value(json!({
                "fraction": 0.41, "step": "compile", "message": "compiling serde"
            }))
            .expect("progress"),
        ));
        assert_eq!(
            detail(&task, Timestamp(2000), true),
            "again in 3s: compiling serde"
        );
        task.status = Status::Working;
        assert_eq!(detail(&task, now, true), "41 %, compile, compiling serde");
        assert_eq!(detail(&task, now, false), "compile, compiling serde");
        task.cancel = Some("enough".into());
        assert_eq!(detail(&task, now, true), "was asked to stop");
        task.status = Status::InputRequired;
        assert_eq!(detail(&task, now, true), "has 0 questions");
    }

    #[test]
    fn what_is_no_json_is_text() {
        assert_eq!(raw("{\"a\":1}").get(), "{\"a\":1}");
        assert_eq!(raw("a \"b\"").get(), "\"a \\\"b\\\"\"");
    }
}
