//! The one place that asks for the time (invariant 9).

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::task::Timestamp;

/// As good as never, for limits that no clock can count.
pub(crate) const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The wall clock, real or following tokio's (paused) clock in tests.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    #[cfg_attr(
        not(any(test, feature = "testing")),
        expect(dead_code, reason = "constructed by tests only")
    )]
    Tokio {
        started: Instant,
        at: SystemTime,
    },
}

impl Clock {
    /// The system's wall clock.
    pub(crate) fn system() -> Self {
        Self(Source::System)
    }

    /// A wall clock that moves as tokio's clock does, so that tests can pause
    /// and advance it. Must be called inside a runtime.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn tokio() -> Self {
        Self(Source::Tokio {
            started: Instant::now(),
            at: SystemTime::now(),
        })
    }

    /// Whether it is a test's.
    pub(crate) fn follows_tokio(&self) -> bool {
        matches!(self.0, Source::Tokio { .. })
    }

    pub(crate) fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => SystemTime::now(),
            Source::Tokio { started, at } => *at + started.elapsed(),
        }
        .into()
    }
}
