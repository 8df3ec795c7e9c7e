//! What can become of a call other than a result.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::input::Question;
use crate::error::BoxError;

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server refused the call, or a request about its task.
    ///
    /// What it refuses because it is busy or about to stop (`overloaded`,
    /// `store_unavailable`, `shutting_down`) has been tried again by then, for
    /// as long as the client's [patience](super::TaskClient::with_patience).
    #[error("the server refused the call: {failure}")]
    Refused {
        /// The task. None if it is the call that was refused: there is none.
        task_id: Option<String>,
        /// The reason.
        #[source]
        failure: Box<Failure>,
    },
    /// The task ended with an error.
    #[error("the task failed: {failure}")]
    Failed {
        /// The task. None where the server answered the call itself with its
        /// end, as it may with the protocol's tasks.
        task_id: Option<String>,
        /// The error.
        #[source]
        failure: Box<Failure>,
    },
    /// The task was cancelled.
    #[error("the task was cancelled: {reason}")]
    Cancelled {
        /// The task; none as with [`Failed`](Self::Failed).
        task_id: Option<String>,
        /// What whoever cancelled it said; possibly empty.
        reason: String,
    },
    /// The server has no such task (any more): it belongs to somebody else, or
    /// its retention is over.
    #[error("the server has no task {task_id}, or its retention is over")]
    NotFound {
        /// The task that was asked for.
        task_id: String,
    },
    /// The task waits for an answer, and nobody here gives one: there is no
    /// [`on_input`](super::TaskCall::on_input). It goes on waiting, until
    /// somebody [answers](super::TaskHandle::answer), or its deadline is over.
    #[error("the task waits for input: {}", question.message)]
    NeedsInput {
        /// The task. None for a question that a server asks before there is
        /// one.
        task_id: Option<String>,
        /// What it asks.
        question: Box<Question>,
    },
    /// The client's [time limit](super::TaskClient::with_time_limit) was over
    /// before there was an end. The task goes on: go on waiting with
    /// [`resume`](super::TaskClient::resume), or cancel it.
    #[error("the time to wait for the task was over; it may go on")]
    TimedOut {
        /// The task. None if not even its beginning was confirmed; the same
        /// call with the same idempotency key finds out.
        task_id: Option<String>,
    },
    /// There was no answer: the connection broke and could not be replaced in
    /// time, or was not to be.
    #[error("there was no answer from the server: {source}")]
    Disconnected {
        /// The task, which goes on. None if its beginning was not confirmed:
        /// there may be one or not.
        task_id: Option<String>,
        /// What happened last.
        source: BoxError,
    },
    /// The server publishes no tool through which this client could make the
    /// call.
    #[error("the server publishes no tool to call `{0}` with")]
    NotPublished(String),
    /// The server answered with what makes no sense, or with an error of the
    /// protocol.
    #[error("the server's answer makes no sense: {0}")]
    Protocol(String),
    /// The arguments are no JSON object.
    #[error("the arguments cannot be sent: {0}")]
    Arguments(String),
    /// The task is completed, and its result is not what the caller expects.
    #[error("the result is not as expected: {0}")]
    Result(#[source] serde_json::Error),
}

impl CallError {
    /// The task that it is about, as far as there is one and it is known.
    pub fn task_id(&self) -> Option<&str> {
        match self {
            Self::Refused { task_id, .. }
            | Self::Failed { task_id, .. }
            | Self::Cancelled { task_id, .. }
            | Self::NeedsInput { task_id, .. }
            | Self::TimedOut { task_id }
            | Self::Disconnected { task_id, .. } => task_id.as_deref(),
            Self::NotFound { task_id } => Some(task_id),
            Self::NotPublished(_) | Self::Protocol(_) | Self::Arguments(_) | Self::Result(_) => {
                None
            }
        }
    }
}

/// Why a task failed, or a call was refused, in the server's words.
#[derive(Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// What kind of failure; stable.
    pub code: String,
    /// What happened, for people and models to read.
    pub message: String,
    /// Whether the same call may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// When, of a call that was refused.
    #[serde(
        default,
        rename = "retry_after_seconds",
        deserialize_with = "super::snapshot::seconds"
    )]
    pub retry_after: Option<Duration>,
    /// More, for programs to read.
    #[serde(default)]
    pub details: Option<Value>,
}

/// Details may be secret.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("code", &self.code)
            .field("message", &self.message)
            .field("retryable", &self.retryable)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Failure {}
