//! One attempt: the tool's function from its arguments to an outcome, and what
//! makes it stop.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until, timeout};

use super::clock::FAR;
use super::stop::{Cause, Stop};
use super::timeout::{Ends, Timeout};
use crate::catalog::Entry;
use crate::context::TaskContext;
use crate::error::facts_of;
use crate::progress::{MAX_MESSAGE, shortened};
use crate::state::StateMap;
use crate::store::{Outcome, TaskRecord};
use crate::task::TaskFailure;
use crate::tool::{Call, EncodeError, RunError};

pub(super) type Attempt = JoinHandle<Result<String, Failed>>;

/// What the tool's function failed with.
#[derive(Debug)]
pub(super) struct Failed {
    failure: Box<TaskFailure>,
    /// Whether it speaks against the tool.
    counted: bool,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// None: nothing may be written.
    pub(super) outcome: Option<Outcome>,
    /// Whether the tool did what it should. None: nobody can tell from this.
    pub(super) success: Option<bool>,
    /// The attempt, if it could not be stopped.
    pub(super) unstoppable: Option<Attempt>,
}

/// Longest message of a failed task, in characters.
const MAX_FAILURE: usize = 4 * MAX_MESSAGE;
/// How deep a result may be nested. Clients stop reading JSON at some depth
/// (serde_json at 128), the message around the result included.
const MAX_DEPTH: usize = 100;
/// Longest code of a failed task, in characters.
const MAX_CODE: usize = 100;

/// When an attempt has to end.
pub(super) struct Clocks {
    pub(super) deadline: Instant,
    pub(super) timeout: Option<Arc<Timeout>>,
    grace: Duration,
}

impl Clocks {
    pub(super) fn of(record: &TaskRecord, entry: &Entry) -> Self {
        let now = Instant::now();
        // Both are the store's times, so that clocks need not agree.
        let claimed_at = record.started_at.unwrap_or(record.created_at);
        Self {
            deadline: now + record.deadline.since(claimed_at).min(FAR),
            timeout: entry.descriptor.timeout.map(Timeout::new).map(Arc::new),
            grace: entry.descriptor.cancel_grace.min(FAR),
        }
    }

    /// The attempt begins now: what it waited for does not count.
    pub(super) fn begin(self) -> Self {
        if let Some(timeout) = &self.timeout {
            timeout.begin();
        }
        self
    }

    /// When this attempt must have ended, for whatever reason.
    pub(super) fn ends(&self) -> Ends {
        Ends::at(self.deadline).with(self.timeout.clone())
    }
}

/// Waits for the end of an attempt, or makes it end.
pub(super) async fn drive(mut attempt: Attempt, stop: &Stop, clocks: &Clocks) -> Ended {
    let timed_out = async {
        match &clocks.timeout {
            Some(timeout) => timeout.over().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        joined = &mut attempt => return Ended::joined(joined, stop.cause()),
        () = stop.token().cancelled() => {}
        limit = timed_out => {
            stop.fire(Cause::Timeout(limit));
        }
        () = sleep_until(clocks.deadline) => {
            stop.fire(Cause::Deadline);
        }
    }

    let cause = stop.cause().cloned().unwrap_or(Cause::LeaseLost);
    tokio::select! {
        biased;
        joined = &mut attempt => Ended::joined(joined, Some(&cause)),
        () = stop.grace_over(Instant::now() + clocks.grace) => {
            attempt.abort();
            // Whatever awaits ends with its next poll; what blocks does not.
            let stopped = timeout(Duration::from_millis(20), &mut attempt).await;
            let mut ended = Ended::stopped(&cause);
            if stopped.is_err() {
                tracing::warn!(
                    "the body of a task goes on although it was told to stop; \
                     it probably blocks its thread (see tokio's spawn_blocking)"
                );
                ended.unstoppable = Some(attempt);
            }
            ended
        }
    }
}

impl Ended {
    /// A result counts even after a request to stop; anything else becomes the
    /// cause of that request.
    fn joined(joined: Result<Result<String, Failed>, JoinError>, cause: Option<&Cause>) -> Self {
        match (joined, cause) {
            (_, Some(cause @ Cause::LeaseLost)) => Self::stopped(cause),
            (Ok(Ok(result)), _) => Self::with(Outcome::Completed(result.into()), Some(true)),
            (_, Some(cause)) => Self::stopped(cause),
            (Ok(Err(failed)), None) => Self::with(
                Outcome::Failed(failed.failure),
                failed.counted.then_some(false),
            ),
            (Err(error), None) => match error.try_into_panic() {
                Ok(payload) => {
                    let message = shortened(panic_message(payload.as_ref()), MAX_FAILURE);
                    let failure = TaskFailure::new("panicked", message);
                    Self::with(Outcome::Failed(Box::new(failure)), Some(false))
                }
                // Only the runtime's own shutdown cancels an attempt behind our back.
                Err(_) => Self::unknown(),
            },
        }
    }

    /// It was stopped for this cause.
    pub(super) fn stopped(cause: &Cause) -> Self {
        Self {
            outcome: cause.outcome(),
            success: matches!(cause, Cause::Timeout(_)).then_some(false),
            unstoppable: None,
        }
    }

    fn with(outcome: Outcome, success: Option<bool>) -> Self {
        Self {
            outcome: Some(outcome),
            success,
            unstoppable: None,
        }
    }

    fn unknown() -> Self {
        Self {
            outcome: None,
            success: None,
            unstoppable: None,
        }
    }
}

/// What is kept of an error: its details as long as a result might be.
fn failed(error: RunError, result_limit: usize) -> Failed {
    let (failure, counted) = described(error);
    let details = failure.details.filter(|details| {
        let fit = !is_deeper_than(details, MAX_DEPTH) && details.to_string().len() <= result_limit;
        if !fit {
            tracing::warn!("the details of an error are more than a result may be; left out");
        }
        fit
    });
    let failure = TaskFailure {
        code: shortened(failure.code.into_owned(), MAX_CODE).into(),
        message: shortened(failure.message, MAX_FAILURE),
        retryable: failure.retryable,
        details,
        protocol_code: failure.protocol_code,
    };
    Failed {
        failure: Box::new(failure),
        counted,
    }
}

/// The failure, and whether it speaks against the tool.
fn described(error: RunError) -> (TaskFailure, bool) {
    let counted = !matches!(error, RunError::Decode(_));
    let failure = match error {
        RunError::Decode(error) => TaskFailure::new(
            "incompatible_arguments",
            format!(
                "the arguments of this task do not fit this version of the tool: {}: {}",
                error.path, error.message
            ),
        ),
        RunError::Tool(error) => {
            let facts = facts_of(error.as_ref());
            let failure = TaskFailure {
                code: facts.code,
                message: facts.message,
                retryable: facts.retryable,
                details: facts.details,
                protocol_code: facts.protocol_code,
            };
            return (failure, facts.counted);
        }
        RunError::Encode(EncodeError::TooLarge { limit }) => TaskFailure::new(
            "result_too_large",
            format!("the result is larger than {limit} bytes of JSON; return a reference to it"),
        ),
        RunError::Encode(EncodeError::NotJson(message)) => TaskFailure::new(
            "invalid_result",
            format!("the result cannot be written as JSON: {message}"),
        ),
        RunError::Encode(EncodeError::Mismatch(message)) => TaskFailure::new(
            "invalid_result",
            format!("the result does not match the tool's own schema: {message}"),
        ),
    };
    (failure, counted)
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) => format!("the tool panicked: {text}"),
        None => "the tool panicked".to_owned(),
    }
}

/// The attempt itself. All that is the author's code happens in here, the
/// `Display` of errors included, so that a panic ends the attempt alone.
pub(super) async fn run(
    entry: Arc<Entry>,
    context: TaskContext,
    arguments: Arc<str>,
    state: Arc<StateMap>,
    result_limit: usize,
) -> Result<String, Failed> {
    try_run(&entry, &context, &arguments, &state, result_limit)
        .await
        .map_err(|error| failed(error, result_limit))
}

async fn try_run(
    entry: &Entry,
    context: &TaskContext,
    arguments: &str,
    state: &StateMap,
    result_limit: usize,
) -> Result<String, RunError> {
    let arguments: Value = serde_json::from_str(arguments).map_err(|error| {
        RunError::Decode(crate::tool::DecodeError {
            path: String::new(),
            message: error.to_string(),
        })
    })?;
    let call = Call::new(context, state);
    let result = entry.tool.run(arguments, call, result_limit).await?;
    check_result(entry, &result).map_err(RunError::Encode)?;
    Ok(result)
}

fn check_result(entry: &Entry, result: &str) -> Result<(), EncodeError> {
    let value: Value =
        serde_json::from_str(result).map_err(|error| EncodeError::NotJson(error.to_string()))?;
    if is_deeper_than(&value, MAX_DEPTH) {
        return Err(EncodeError::NotJson(format!(
            "it is nested more than {MAX_DEPTH} levels deep"
        )));
    }
    entry.output.check(&value).map_err(|problems| {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        EncodeError::Mismatch(texts.join("; "))
    })
}

fn is_deeper_than(value: &Value, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper_than(item, left)),
        Value::Object(members) => members.values().any(|member| is_deeper_than(member, left)),
        _ => false,
    }
}
