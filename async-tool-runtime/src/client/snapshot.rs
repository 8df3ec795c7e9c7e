//! A task at one moment, as a client sees it.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::error::Failure;
use super::input::Question;
use crate::store::Status;

/// A task at one moment. What is absent does not apply, or was not told.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Where the task stands. The protocol's own tasks do not tell `queued`
    /// from `working`.
    pub status: Status,
    /// What is happening, for people to read.
    pub message: Option<String>,
    /// How much of the whole is done, 0 to 1.
    pub fraction: Option<f64>,
    /// Units done in the present step.
    pub current: Option<u64>,
    /// Units in the present step.
    pub total: Option<u64>,
    /// Name of the present step.
    pub step: Option<String>,
    /// Number of the present step; 1 is the first.
    pub step_number: Option<usize>,
    /// How many steps there are.
    pub step_count: Option<usize>,
    /// How long it will probably take.
    pub eta: Option<Duration>,
    /// Which execution it is; 1 is the first.
    pub attempt: u32,
    /// Somebody asked it to stop.
    pub cancel_requested: bool,
    /// What it waits to be answered.
    pub questions: Vec<Question>,
}

impl Snapshot {
    /// A snapshot that says nothing but this; for tests of what shows snapshots.
    pub fn new(status: Status) -> Self {
        Self {
            status,
            message: None,
            fraction: None,
            current: None,
            total: None,
            step: None,
            step_number: None,
            step_count: None,
            eta: None,
            attempt: 1,
            cancel_requested: false,
            questions: Vec::new(),
        }
    }
}

/// What an answer tells of a task.
pub(super) struct Seen {
    /// None if there is no task to ask for: the call was answered with its end.
    pub(super) task_id: Option<String>,
    pub(super) snapshot: Snapshot,
    /// When the server would like to be asked again.
    pub(super) poll_after: Option<Duration>,
    /// The server can wait before it answers.
    pub(super) waits: bool,
    pub(super) end: Option<End>,
}

/// How a task ended.
#[derive(Clone)]
pub(super) enum End {
    Completed(Value),
    Failed(Box<Failure>),
    Cancelled(String),
}

impl End {
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Completed(_) => Status::Completed,
            Self::Failed(_) => Status::Failed,
            Self::Cancelled(_) => Status::Cancelled,
        }
    }
}

impl Seen {
    /// The end of a call of which there is no task.
    pub(super) fn ended(end: End) -> Self {
        Self {
            task_id: None,
            snapshot: Snapshot::new(end.status()),
            poll_after: None,
            waits: false,
            end: Some(end),
        }
    }
}

/// Seconds as a duration; what is none, or out of all bounds, is absent.
pub(super) fn seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let seconds = Option::<f64>::deserialize(deserializer)?;
    Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
}
