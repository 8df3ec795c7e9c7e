//! Calls that are refused, as data: the server turns them into tool results.

use std::time::Duration;

use serde_json::{Value, json};

use crate::progress::shortened;
use crate::store::{Limit, StoreError};
use crate::task::TaskId;

/// Why a call was refused. The variants' names are the codes on the wire.
#[derive(Debug)]
pub(crate) enum Refusal {
    InvalidArguments(Vec<Problem>),
    ArgumentsTooLarge {
        limit: usize,
    },
    TaskNotFound,
    IdempotencyConflict(TaskId),
    Overloaded {
        limit: Limit,
        retry_after: Duration,
    },
    /// The principal makes more calls a minute than it may.
    TooFast {
        per_minute: u32,
        retry_after: Duration,
    },
    CircuitOpen {
        retry_after: Duration,
    },
    TooManySubscriptions,
    ShuttingDown,
    StoreUnavailable,
    Unauthenticated,
    /// The client took its request back; it reads no answer.
    Abandoned,
    /// The application's code panicked while the call was handled.
    Internal,
    /// The question is not open to this answer.
    QuestionClosed(Closed),
}

/// Why a question takes no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    NotAsked,
    /// It was answered otherwise.
    Answered,
    /// With the task.
    Ended,
}

/// One thing that is wrong with the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// JSON pointer to the offending value; empty for the whole.
    pub(crate) path: String,
    pub(crate) message: String,
}

impl Problem {
    /// A problem; what is too long of a path or message is cut, since either
    /// may quote what the caller sent.
    pub(crate) fn new(path: String, message: String) -> Self {
        Self {
            path: shortened(path, 200),
            message: shortened(message, 1000),
        }
    }
}

impl Refusal {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::InvalidArguments(_) | Self::ArgumentsTooLarge { .. } => "invalid_arguments",
            Self::TaskNotFound => "task_not_found",
            Self::IdempotencyConflict(_) => "idempotency_conflict",
            Self::Overloaded { .. } | Self::TooFast { .. } => "overloaded",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::ShuttingDown => "shutting_down",
            Self::StoreUnavailable => "store_unavailable",
            Self::Unauthenticated => "unauthenticated",
            Self::Abandoned => "abandoned",
            Self::Internal => "internal",
            Self::QuestionClosed(_) => "question_closed",
        }
    }

    /// Whether the same call may succeed later.
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Overloaded { .. }
                | Self::TooFast { .. }
                | Self::CircuitOpen { .. }
                | Self::TooManySubscriptions
                | Self::ShuttingDown
                | Self::StoreUnavailable
        )
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::InvalidArguments(problems) => {
                let texts: Vec<String> = problems.iter().map(Problem::to_string).collect();
                texts.join("; ")
            }
            Self::ArgumentsTooLarge { limit } => format!(
                "the arguments are larger than the {limit} bytes that this server accepts; \
                 pass a reference to the data instead"
            ),
            Self::TaskNotFound => "no task of this tool has this id, or its retention is over; \
                 use the task_id that the initiate tool answered"
                .to_owned(),
            Self::IdempotencyConflict(id) => format!(
                "this idempotency_key belongs to task {id}, which has other arguments; \
                 use a new key for a different call"
            ),
            Self::Overloaded { limit, .. } => {
                format!("{limit}; try again after retry_after_seconds")
            }
            Self::TooFast { per_minute, .. } => format!(
                "more than {per_minute} calls a minute of tools that start a task; \
                 try again after retry_after_seconds"
            ),
            Self::CircuitOpen { .. } => "too many tasks of this tool have failed lately, so it is \
                 left alone for a while; try again after retry_after_seconds"
                .to_owned(),
            Self::TooManySubscriptions => {
                "there are as many subscriptions as this server allows; end one, or read instead"
                    .to_owned()
            }
            Self::ShuttingDown => {
                "the server is shutting down and accepts no new tasks; try again later".to_owned()
            }
            Self::StoreUnavailable => {
                "the task store cannot be reached at the moment; try again".to_owned()
            }
            Self::Unauthenticated => {
                "this server needs to know on whose behalf a request is made".to_owned()
            }
            Self::Abandoned => "the request was taken back".to_owned(),
            Self::QuestionClosed(why) => match why {
                Closed::NotAsked => "this task asks no question of this key now; its status tells \
                     which are open"
                    .to_owned(),
                Closed::Answered => "this question was answered before, and otherwise; the first \
                     answer stays"
                    .to_owned(),
                Closed::Ended => "the task has ended".to_owned(),
            },
            Self::Internal => "the server failed while it handled this call".to_owned(),
        }
    }

    /// When the same call may succeed, in whole seconds: not too early, and at
    /// least one.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Overloaded { retry_after, .. }
            | Self::TooFast { retry_after, .. }
            | Self::CircuitOpen { retry_after } => {
                let begun = u64::from(retry_after.subsec_nanos() > 0);
                Some((retry_after.as_secs() + begun).max(1))
            }
            _ => None,
        }
    }

    pub(crate) fn details(&self) -> Option<Value> {
        match self {
            Self::InvalidArguments(problems) => Some(json!({
                "problems": problems
                    .iter()
                    .map(|problem| json!({"path": problem.path, "message": problem.message}))
                    .collect::<Vec<_>>()
            })),
            Self::IdempotencyConflict(id) => Some(json!({ "task_id": id })),
            _ => None,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(
            error = &error as &(dyn std::error::Error + 'static),
            "the task store failed"
        );
        Self::StoreUnavailable
    }
}
