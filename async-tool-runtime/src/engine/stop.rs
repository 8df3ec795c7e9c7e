//! Asking an attempt to stop: the first cause wins.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::task::{Outcome, TaskFailure};

/// Why an attempt has to stop.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// Somebody asked; the reason, possibly empty.
    Cancelled(Arc<str>),
    /// The tool's own limit for an attempt.
    Timeout(Duration),
    /// The task must have ended by now.
    Deadline,
    /// The worker goes away, after this grace.
    Shutdown { grace: Duration },
    /// The task belongs to somebody else by now, or may (invariant 5).
    LeaseLost,
}

impl Cause {
    /// How a task ends that stopped for this cause. None: nothing may be
    /// written.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let failure = match self {
            Self::Cancelled(reason) => return Some(Outcome::Cancelled(Arc::clone(reason))),
            Self::LeaseLost => return None,
            Self::Timeout(limit) => TaskFailure::timed_out(
                "timeout",
                format!(
                    "the attempt did not end within the tool's timeout of {}",
                    humantime::format_duration(*limit)
                ),
            ),
            Self::Deadline => {
                TaskFailure::timed_out("deadline", "the task did not end before its deadline")
            }
            Self::Shutdown { .. } => TaskFailure::interrupted(
                "the server shut down before the task had ended; what it had done by then may have had effects",
            ),
        };
        Some(Outcome::Failed(Box::new(failure)))
    }
}

/// Carries the request to stop to an attempt.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    cause: OnceLock<Cause>,
    /// Why somebody asked, be it the first cause or not.
    cancel: OnceLock<Arc<str>>,
    fired: CancellationToken,
    /// When the grace ends at the latest, whatever the tool allows.
    latest: watch::Sender<Option<Instant>>,
}

impl Stop {
    /// Asks the attempt to stop; whether this was the first time. A later cause
    /// changes nothing but how long the attempt may still take.
    pub(crate) fn fire(&self, cause: Cause) -> bool {
        let grace = match &cause {
            Cause::LeaseLost => Some(Duration::ZERO),
            Cause::Shutdown { grace } => Some(*grace),
            Cause::Cancelled(_) | Cause::Timeout(_) | Cause::Deadline => None,
        };
        if let Some(grace) = grace {
            let end = Instant::now() + grace;
            self.latest.send_modify(|latest| {
                *latest = Some(latest.map_or(end, |latest| latest.min(end)));
            });
        }
        // The first one stays.
        if let Cause::Cancelled(reason) = &cause {
            let _ = self.cancel.set(Arc::clone(reason));
        }
        let first = self.cause.set(cause).is_ok();
        self.fired.cancel();
        first
    }

    /// Why somebody asked the task to stop, if somebody did.
    pub(crate) fn cancel(&self) -> Option<&Arc<str>> {
        self.cancel.get()
    }

    pub(crate) fn cause(&self) -> Option<&Cause> {
        self.cause.get()
    }

    /// Whether the task itself was asked to stop: not so if it is merely no
    /// longer ours.
    pub(crate) fn is_requested(&self) -> bool {
        !matches!(self.cause(), None | Some(Cause::LeaseLost))
    }

    /// Completes at `end`, or earlier if a cause says so.
    pub(crate) async fn grace_over(&self, end: Instant) {
        let mut latest = self.latest.subscribe();
        loop {
            let end = latest
                .borrow_and_update()
                .map_or(end, |latest| latest.min(end));
            tokio::select! {
                () = sleep_until(end) => return,
                // The sender lives as long as `self`.
                _ = latest.changed() => {}
            }
        }
    }

    /// Fires with the request; the tool's function may hold it.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.fired
    }
}
