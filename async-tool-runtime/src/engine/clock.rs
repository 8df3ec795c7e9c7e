//! The one place that asks for the time (invariant 9).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
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
        /// Milliseconds by which somebody has set the clock since.
        jumped: Arc<AtomicI64>,
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
            jumped: Arc::default(),
        })
    }

    /// Sets the wall clock, for all clones of it, as an administrator or a
    /// laptop that wakes up would.
    #[cfg(test)]
    pub(crate) fn jump(&self, millis: i64) {
        if let Source::Tokio { jumped, .. } = &self.0 {
            jumped.fetch_add(millis, Ordering::Relaxed);
        }
    }

    /// Whether it is a test's.
    pub(crate) fn follows_tokio(&self) -> bool {
        matches!(self.0, Source::Tokio { .. })
    }

    pub(crate) fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => SystemTime::now().into(),
            Source::Tokio {
                started,
                at,
                jumped,
            } => {
                let unmoved = Timestamp::from(*at + started.elapsed());
                Timestamp(
                    unmoved
                        .0
                        .saturating_add_signed(jumped.load(Ordering::Relaxed)),
                )
            }
        }
    }
}
