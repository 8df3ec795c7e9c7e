//! What is worth telling.

use std::fmt;

use crate::task::{Status, TaskRecord, Timestamp};

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Event {
    /// It ended with a result.
    Completed,
    /// It ended with an error.
    Failed,
    /// It ended on request.
    Cancelled,
    /// It asks something, and waits for an answer.
    InputRequired,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::InputRequired,
    ];

    /// The `type` of its messages, as in `task.completed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "task.completed",
            Self::Failed => "task.failed",
            Self::Cancelled => "task.cancelled",
            Self::InputRequired => "task.input_required",
        }
    }

    /// What there is to tell of a task now, and since when. None while it is
    /// queued or works: what it asked has been answered.
    pub(super) fn of(record: &TaskRecord) -> Option<(Self, Timestamp)> {
        let event = match record.status {
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed,
            Status::Cancelled => Self::Cancelled,
            Status::InputRequired => Self::InputRequired,
            Status::Queued | Status::Working => return None,
        };
        let asked = record.input.as_ref().map(|input| input.at);
        Some((event, record.finished_at.or(asked)?))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Some of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Events(u8);

impl Events {
    pub(super) const ALL: Self = Self(u8::MAX);

    pub(super) fn has(self, event: Event) -> bool {
        self.0 & bit(event) != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Event> for Events {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        Self(events.into_iter().fold(0, |all, event| all | bit(event)))
    }
}

fn bit(event: Event) -> u8 {
    1 << event as u8
}
