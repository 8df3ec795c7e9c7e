//! Where a task stands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of a task.
///
/// ```text
/// queued ──claim──▶ working ◀──▶ input_required
///    │                 │               │
///    └──────┬──────────┴───────────────┘
///           ▼
///  completed | failed | cancelled          terminal: nothing changes any more
/// ```
///
/// A working task returns to `queued` when its worker gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the wire contract names these six and no other"
)]
pub enum Status {
    /// Accepted, waits for a worker.
    Queued,
    /// A worker executes it.
    Working,
    /// It waits for an answer from its caller.
    InputRequired,
    /// It ended with a result.
    Completed,
    /// It ended with an error.
    Failed,
    /// It ended because somebody asked.
    Cancelled,
}

impl Status {
    /// All of them, in the order in which a task goes through them.
    #[cfg(feature = "dashboard")]
    pub(crate) const ALL: [Self; 6] = [
        Self::Queued,
        Self::Working,
        Self::InputRequired,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether nothing can change any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Working => "working",
            Self::InputRequired => "input_required",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
