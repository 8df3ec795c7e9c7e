//! When an attempt must have ended: the deadline of its task, and the tool's
//! timeout, which stands still while the task waits for an answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::clock::FAR;

/// The tool's own limit for an attempt.
#[derive(Debug)]
pub(crate) struct Timeout {
    limit: Duration,
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// It runs out at this moment.
    Runs(Instant),
    /// It stands still with so much left.
    Stands(Duration),
}

impl Timeout {
    pub(super) fn new(limit: Duration) -> Self {
        let limit = limit.min(FAR);
        Self {
            limit,
            state: watch::Sender::new(State::Runs(Instant::now() + limit)),
        }
    }

    /// The attempt begins now: what it waited for does not count.
    pub(super) fn begin(&self) {
        let runs = State::Runs(Instant::now() + self.limit);
        self.state.send_replace(runs);
    }

    pub(super) fn stop(&self) {
        self.state.send_modify(|state| {
            if let State::Runs(end) = *state {
                *state = State::Stands(end.saturating_duration_since(Instant::now()));
            }
        });
    }

    pub(super) fn go_on(&self) {
        self.state.send_modify(|state| {
            if let State::Stands(left) = *state {
                *state = State::Runs(Instant::now() + left);
            }
        });
    }

    /// Completes when it has run out, with the limit.
    pub(super) async fn over(&self) -> Duration {
        let mut state = self.state.subscribe();
        loop {
            let present = *state.borrow_and_update();
            match present {
                State::Runs(end) => {
                    tokio::select! {
                        () = sleep_until(end) => return self.limit,
                        _ = state.changed() => {}
                    }
                }
                // The sender lives as long as `self`.
                State::Stands(_) => {
                    let _ = state.changed().await;
                }
            }
        }
    }

    fn by(&self) -> Instant {
        match *self.state.borrow() {
            State::Runs(end) => end,
            State::Stands(left) => Instant::now() + left,
        }
    }
}

/// When an attempt must have ended, for whatever reason.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    deadline: Instant,
    timeout: Option<Arc<Timeout>>,
}

impl Ends {
    pub(crate) fn at(deadline: Instant) -> Self {
        Self {
            deadline,
            timeout: None,
        }
    }

    pub(super) fn with(mut self, timeout: Option<Arc<Timeout>>) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn by(&self) -> Instant {
        let timeout = self.timeout.as_ref().map(|timeout| timeout.by());
        timeout.map_or(self.deadline, |end| end.min(self.deadline))
    }
}
