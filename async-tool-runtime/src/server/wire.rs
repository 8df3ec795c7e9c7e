//! Snapshots and refusals as they go over the wire (DESIGN: wire contract).

use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::{Value, json};

use crate::catalog::Entry;
use crate::engine::View;
use crate::refusal::Refusal;
use crate::store::{LogLine, Outcome, Status};
use crate::task::TaskId;

/// A task at one moment, as a client sees it. What does not apply is absent.
#[derive(Debug, Serialize)]
pub(crate) struct Snapshot<'a> {
    task_id: TaskId,
    status: Status,
    done: bool,
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll_after_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    replayed: bool,
    #[serde(skip_serializing_if = "is_false")]
    cancel_requested: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    questions: Vec<Question<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure<'a>>,
}

/// The error of a task, as clients of plain tools see it.
#[derive(Debug, Serialize)]
pub(crate) struct Failure<'a> {
    code: &'a str,
    message: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Value>,
}

impl<'a> Failure<'a> {
    pub(crate) fn of(failure: &'a crate::task::TaskFailure) -> Self {
        Self {
            code: &failure.code,
            message: &failure.message,
            retryable: failure.retryable,
            details: failure.details.as_ref(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Progress<'a> {
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

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !value
}

impl<'a> Snapshot<'a> {
    /// What every answer has.
    pub(crate) fn of(view: &'a View, include_result: bool) -> Self {
        let record = &view.record;
        let done = view.is_done();
        let progress = view.progress.as_deref().filter(|_| !done);
        let mut snapshot = Self {
            task_id: record.id,
            status: record.status,
            done,
            revision: view.revision,
            message: progress.and_then(|progress| progress.message.as_deref()),
            progress: progress.and_then(Progress::of),
            eta_seconds: view.eta().map(|eta| eta.as_secs().max(1)),
            poll_after_seconds: view.poll_after().map(|pause| pause.as_secs()),
            attempt: Some(record.attempt).filter(|attempt| *attempt > 1),
            replayed: false,
            cancel_requested: view.stopping,
            tool: None,
            questions: Vec::new(),
            next: None,
            created_at: None,
            started_at: None,
            finished_at: None,
            expires_at: None,
            log: None,
            result: None,
            error: None,
        };
        if done {
            snapshot.created_at = Some(record.created_at.to_string());
            snapshot.started_at = record.started_at.map(|time| time.to_string());
            snapshot.finished_at = record.finished_at.map(|time| time.to_string());
            snapshot.expires_at = record.expires_at().map(|time| time.to_string());
        }
        match &record.outcome {
            Some(Outcome::Completed(result)) if include_result => {
                // A result of `null`, as that of a function without one, is
                // absent like everything that does not apply.
                snapshot.result = serde_json::from_str(result)
                    .ok()
                    .filter(|result: &Value| !result.is_null());
            }
            Some(Outcome::Failed(failure)) => snapshot.error = Some(Failure::of(failure)),
            Some(Outcome::Cancelled(reason)) if !reason.is_empty() => {
                snapshot.message = Some(reason);
            }
            _ => {}
        }
        snapshot
    }

    /// Adds what only the first answer about a task has.
    pub(crate) fn first(
        mut self,
        view: &'a View,
        tool: &'a Entry,
        replayed: bool,
        wait_cap: Duration,
    ) -> Self {
        self.replayed = replayed;
        self.tool = Some(&view.record.tool);
        self.created_at = Some(view.record.created_at.to_string());
        self.next = match view.record.status {
            Status::Completed => None,
            Status::Failed | Status::Cancelled if replayed => {
                Some("This key's task has ended; use a new idempotency_key to run again.".into())
            }
            Status::Failed | Status::Cancelled => None,
            Status::InputRequired => {
                return self.asking(view, Some(tool));
            }
            Status::Queued | Status::Working => Some(format!(
                "Call {} with this task_id and wait_seconds={} until done is true.",
                tool.status_name(),
                wait_cap.as_secs()
            )),
        };
        self
    }

    /// Adds how to answer what the task asks, if it does.
    pub(crate) fn asking(mut self, view: &'a View, tool: Option<&Entry>) -> Self {
        let open: Vec<_> = view.record.open_questions().map(Question::of).collect();
        let tool = tool.filter(|tool| !open.is_empty() && tool.has_plain_tools());
        if let Some(tool) = tool {
            self.next = Some(format!(
                "Answer each question with {}: task_id, key, action, and content as its schema \
                 says; then call {} again.",
                tool.respond_name(),
                tool.status_name(),
            ));
        }
        self.questions = open;
        self
    }

    /// Adds the last lines of the task's log.
    pub(crate) fn with_log(mut self, log: Option<&[LogLine]>) -> Self {
        let line = |line: &LogLine| format!("{} {}", line.at, line.text);
        self.log = log.map(|lines| lines.iter().map(line).collect());
        self
    }

    /// Adds what tells tasks of a list apart.
    pub(crate) fn listed(mut self, view: &'a View) -> Self {
        self.tool = Some(&view.record.tool);
        self.created_at = Some(view.record.created_at.to_string());
        self
    }
}

/// The tool result: the structure, and as text the same JSON in the order of
/// its fields, which begins with what matters most to a reader.
pub(crate) fn to_result(answer: &impl Serialize) -> CallToolResult {
    // Strings, numbers and JSON: neither can fail.
    let text = serde_json::to_string(answer).unwrap_or_default();
    let structure = serde_json::to_value(answer).unwrap_or_default();
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(structure);
    result
}

#[derive(Debug, Serialize)]
struct Question<'a> {
    key: &'a str,
    message: &'a str,
    schema: Value,
}

impl<'a> Question<'a> {
    fn of(question: &'a crate::task::Question) -> Self {
        Self {
            key: &question.key,
            message: &question.message,
            // JSON when it was asked.
            schema: serde_json::from_str(&question.schema).unwrap_or_default(),
        }
    }
}

impl<'a> Progress<'a> {
    /// None if nothing but a message was reported.
    fn of(state: &'a crate::progress::ProgressState) -> Option<Self> {
        let progress = Self {
            fraction: state.fraction.map(rounded),
            current: state.current,
            total: state.total,
            step: state.step.as_deref(),
            step_number: state.step_number,
            step_count: state.step_count,
        };
        let reported = progress.fraction.is_some()
            || progress.current.is_some()
            || progress.step_count.is_some();
        reported.then_some(progress)
    }
}

/// Three digits are as much as anybody reads; not rounded up to a false 1.
fn rounded(fraction: f64) -> f64 {
    (fraction * 1000.0).floor() / 1000.0
}

/// A refused call as a tool result.
pub(crate) fn refused(refusal: &Refusal) -> CallToolResult {
    let mut error = json!({
        "code": refusal.code(),
        "message": refusal.message(),
        "retryable": refusal.is_retryable(),
    });
    if let Some(details) = refusal.details() {
        error["details"] = details;
    }
    if let Some(seconds) = refusal.retry_after_seconds() {
        error["retry_after_seconds"] = seconds.into();
    }
    CallToolResult::structured_error(json!({ "error": error }))
}

/// A running task in a line, for progress notifications: percentage, step,
/// message.
pub(crate) fn line(view: &View) -> String {
    let Some(progress) = view.progress.as_deref() else {
        return view.record.status.to_string();
    };
    let mut parts = Vec::new();
    if let Some(fraction) = progress.fraction {
        parts.push(format!("{:.0} %", (fraction * 100.0).floor()));
    }
    if let (Some(step), Some(number), Some(count)) =
        (&progress.step, progress.step_number, progress.step_count)
    {
        parts.push(format!("{step} ({number}/{count})"));
    }
    parts.extend(progress.message.clone());
    if parts.is_empty() {
        parts.push(view.record.status.to_string());
    }
    parts.join(" · ")
}
