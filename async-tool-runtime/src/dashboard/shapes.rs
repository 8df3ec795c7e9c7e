//! Tasks as the API tells them. Absent means not applicable; times are RFC 3339,
//! durations in seconds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::engine::{CircuitHealth, CircuitState, Inspected, View};
use crate::progress::ProgressState;
use crate::store::{
    AttemptEnd, AttemptHistory, History, LogLine, Notice, Outcome, Principal, Stats, Status,
    StepEnd, StepHistory, StepKind, TaskId, TaskRecord, Timestamp,
};

/// A moment, as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub(super) Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// How it stands with the store, and what this dashboard may do.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    queued: usize,
    running: usize,
    records: usize,
    notices: usize,
    workers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_queued_at: Option<Moment>,
    /// Circuit breakers of this server that are not closed, by tool.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    circuits: BTreeMap<Arc<str>, CircuitState>,
    /// This server accepts no new tasks.
    draining: bool,
    can_cancel: bool,
}

impl Health {
    pub(super) fn of(
        stats: &Stats,
        circuits: Vec<CircuitHealth>,
        draining: bool,
        can_cancel: bool,
    ) -> Self {
        let circuits = circuits.into_iter();
        Self {
            circuits: circuits.map(|it| (it.tool, it.state)).collect(),
            queued: stats.queued(),
            running: stats.running,
            records: stats.records,
            notices: stats.notices,
            workers: stats.sessions.len(),
            oldest_queued_at: stats.oldest_queued().map(Moment),
            draining,
            can_cancel,
        }
    }
}

/// A task in a list.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    pub(super) task_id: TaskId,
    tool: &'a str,
    status: Status,
    /// It was asked to stop and has not ended.
    #[serde(skip_serializing_if = "is_false")]
    stopping: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    attempt: u32,
    created_at: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure<'a>>,
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

#[derive(Debug, Serialize)]
struct Failure<'a> {
    code: &'a str,
    message: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a serde_json::Value>,
}

/// A task with all that is known of it.
#[derive(Debug, Serialize)]
pub(super) struct Detail<'a> {
    #[serde(flatten)]
    row: Row<'a>,
    revision: u64,
    max_attempts: u32,
    deadline: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
    /// Why somebody asked it to stop; possibly empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    questions: Vec<Question<'a>>,
    attempts: Vec<Attempt>,
    omitted_attempts: u32,
    log: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    /// It has one, which is not shown.
    #[serde(skip_serializing_if = "is_false")]
    result_hidden: bool,
}

#[derive(Debug, Serialize)]
struct Question<'a> {
    key: &'a str,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct Attempt {
    number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<AttemptEnd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    steps: Vec<Step>,
    omitted_steps: u32,
}

#[derive(Debug, Serialize)]
struct Step {
    name: Arc<str>,
    kind: StepKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<StepEnd>,
}

#[derive(Debug, Serialize)]
struct Line {
    at: Moment,
    text: Arc<str>,
}

/// What came of telling others of it.
#[derive(Debug, Serialize)]
struct Told {
    number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Moment>,
    targets: BTreeMap<String, Delivery>,
}

/// As far as it can be read: it is text of whoever tells.
#[derive(Debug, Default, Deserialize)]
struct Deliveries {
    #[serde(default)]
    targets: BTreeMap<String, Delivery>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Delivery {
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl<'a> Row<'a> {
    pub(super) fn of(view: &'a View) -> Self {
        let record = &view.record;
        let progress = view.progress.as_deref().filter(|_| !view.is_done());
        let message = progress.and_then(|progress| progress.message.as_deref());
        let (reason, error) = match &record.outcome {
            Some(Outcome::Cancelled(reason)) => (Some(&**reason), None),
            Some(Outcome::Failed(failure)) => {
                let error = Failure {
                    code: &failure.code,
                    message: &failure.message,
                    retryable: failure.retryable,
                    details: None,
                };
                (None, Some(error))
            }
            Some(Outcome::Completed(_)) | None => (None, None),
        };
        Self {
            task_id: record.id,
            tool: &record.tool,
            status: record.status,
            stopping: view.stopping,
            principal: record.principal.as_ref().map(Principal::as_str),
            attempt: record.attempt,
            created_at: Moment(record.created_at),
            started_at: record.started_at.map(Moment),
            finished_at: record.finished_at.map(Moment),
            eta_seconds: view.eta().map(|eta| eta.as_secs()),
            message: message.or(reason).filter(|text| !text.is_empty()),
            progress: progress.and_then(Progress::of),
            error,
        }
    }
}

impl<'a> Progress<'a> {
    fn of(state: &'a ProgressState) -> Option<Self> {
        let known = state.fraction.is_some() || state.current.is_some() || state.step.is_some();
        known.then_some(Self {
            fraction: state.fraction,
            current: state.current,
            total: state.total,
            step: state.step.as_deref(),
            step_number: state.step_number,
            step_count: state.step_count,
        })
    }
}

impl<'a> Detail<'a> {
    pub(super) fn of(inspected: &'a Inspected, results: bool) -> Self {
        let Inspected { view, log } = inspected;
        let record = &view.record;
        let History { attempts, omitted } = History::of(record);
        let mut row = Row::of(view);
        if let (true, Some(error), Some(Outcome::Failed(failure))) =
            (results, &mut row.error, &record.outcome)
        {
            error.details = failure.details.as_ref();
        }
        let result = result(record);
        Self {
            row,
            revision: view.revision,
            max_attempts: record.max_attempts,
            deadline: Moment(record.deadline),
            not_before: record.not_before.map(Moment),
            expires_at: record.expires_at().map(Moment),
            cancel_reason: record.cancel.as_deref(),
            questions: record
                .open_questions()
                .map(|question| Question {
                    key: &question.key,
                    message: &question.message,
                })
                .collect(),
            attempts: attempts.into_iter().map(Attempt::of).collect(),
            omitted_attempts: omitted,
            log: log.iter().map(Line::of).collect(),
            notice: record.notice.as_ref().map(Told::of),
            result_hidden: result.is_some() && !results,
            result: result.filter(|_| results),
        }
    }
}

/// The result of a task, if it has one that says something.
fn result(record: &TaskRecord) -> Option<&RawValue> {
    let Some(Outcome::Completed(text)) = &record.outcome else {
        return None;
    };
    let value: &RawValue = serde_json::from_str(text).ok()?;
    Some(value).filter(|value| value.get() != "null")
}

impl Attempt {
    fn of(attempt: AttemptHistory) -> Self {
        Self {
            number: attempt.number,
            worker: attempt.worker,
            started_at: attempt.started_at.map(Moment),
            took_seconds: attempt.took.map(seconds),
            end: attempt.end,
            reason: attempt.reason,
            steps: attempt.steps.into_iter().map(Step::of).collect(),
            omitted_steps: attempt.omitted_steps,
        }
    }
}

impl Step {
    fn of(step: StepHistory) -> Self {
        Self {
            name: step.name,
            kind: step.kind,
            after_seconds: step.after.map(seconds),
            took_seconds: step.took.map(seconds),
            end: step.end,
        }
    }
}

impl Line {
    fn of(line: &LogLine) -> Self {
        Self {
            at: Moment(line.at),
            text: Arc::clone(&line.text),
        }
    }
}

impl Told {
    fn of(notice: &Notice) -> Self {
        let state = notice.state.as_deref();
        let Deliveries { targets } = state
            .and_then(|state| serde_json::from_str(state).ok())
            .unwrap_or_default();
        Self {
            number: notice.number,
            due_at: notice.due.map(Moment),
            targets,
        }
    }
}

/// To the millisecond.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn is_false(flag: &bool) -> bool {
    !*flag
}
