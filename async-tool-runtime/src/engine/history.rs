//! What an attempt does and when, for the task's history.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{
    AttemptEnd, AttemptHistory, History, Outcome, StepEnd, StepHistory, StepKind, TaskRecord,
};

/// The history of a task that runs here. It takes a lock when a step begins or
/// ends, and writes nothing by itself.
#[derive(Debug)]
pub(crate) struct Timeline {
    began: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Of the earlier attempts, and of this one, which is the last.
    history: History,
    /// How often it changed.
    changes: u64,
    /// How many of those changes the store knows.
    stored: u64,
}

/// A history that the store does not know.
#[derive(Debug)]
pub(super) struct Unstored {
    changes: u64,
    pub(super) text: Arc<str>,
}

impl Timeline {
    /// The history of a task that was claimed just now.
    pub(super) fn of(record: &TaskRecord) -> Self {
        Self {
            began: Instant::now(),
            inner: Mutex::new(Inner {
                history: History::of(record),
                // Who comes after a second attempt wants to know when it started. It
                // goes with the first report, if there is one.
                changes: u64::from(record.attempt > 1),
                stored: 0,
            }),
        }
    }

    /// A step of the progress begins, and with it the one before is done.
    pub(super) fn entered(&self, name: &str) {
        self.change(|attempt, now| {
            for step in open(attempt, StepKind::Progress) {
                end(step, StepEnd::Done, now);
            }
            // A recorded step is one of the progress by itself.
            if open(attempt, StepKind::Recorded).all(|step| *step.name != *name) {
                attempt.add(step(name, StepKind::Progress, now));
            }
        });
    }

    /// A recorded step or a question begins.
    pub(super) fn begun(&self, name: &str, kind: StepKind) {
        self.change(|attempt, now| attempt.add(step(name, kind, now)));
    }

    /// It ends.
    pub(super) fn ended(&self, name: &str, kind: StepKind, how: StepEnd) {
        self.change(|attempt, now| {
            if let Some(step) = open(attempt, kind).find(|step| *step.name == *name) {
                end(step, how, now);
            }
        });
    }

    /// What the store does not know; none if it knows everything.
    pub(super) fn unstored(&self) -> Option<Unstored> {
        let mut inner = self.inner();
        (inner.changes > inner.stored).then(|| Unstored {
            changes: inner.changes,
            text: inner.history.write(),
        })
    }

    /// Remembers that the store has this.
    pub(super) fn stored(&self, known: &Unstored) {
        let mut inner = self.inner();
        inner.stored = inner.stored.max(known.changes);
    }

    /// Says how the attempt ended. Returns what the record is to keep: nothing if
    /// the record itself tells all there is.
    pub(super) fn close(&self, how: AttemptEnd, reason: Option<&str>) -> Option<Arc<str>> {
        let now = self.began.elapsed();
        let mut inner = self.inner();
        let attempt = inner.history.attempts.last_mut()?;
        if attempt.end.is_none() {
            attempt.close(how, Some(now), reason);
            let done = match how {
                AttemptEnd::Completed => StepEnd::Done,
                _ => StepEnd::Failed,
            };
            for step in attempt.steps.iter_mut().filter(|step| step.end.is_none()) {
                end(step, done, now);
            }
        }
        let follows = matches!(how, AttemptEnd::Retried | AttemptEnd::Interrupted);
        let plain = attempt.number == 1 && attempt.steps.is_empty() && !follows;
        (!plain).then(|| inner.history.write())
    }

    /// The same, for the end of the task.
    pub(super) fn close_with(&self, outcome: &Outcome) -> Option<Arc<str>> {
        let (how, reason) = AttemptEnd::of(outcome);
        self.close(how, reason)
    }

    /// All of it, for whoever looks at the task meanwhile.
    #[cfg(feature = "dashboard")]
    pub(super) fn text(&self) -> Arc<str> {
        self.inner().history.write()
    }

    fn change(&self, change: impl FnOnce(&mut AttemptHistory, Duration)) {
        let now = self.began.elapsed();
        let mut inner = self.inner();
        if let Some(attempt) = inner.history.attempts.last_mut() {
            change(attempt, now);
            inner.changes += 1;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn step(name: &str, kind: StepKind, now: Duration) -> StepHistory {
    StepHistory {
        name: name.into(),
        kind,
        after: Some(now),
        took: None,
        end: None,
    }
}

/// The steps of a kind that go on.
fn open(attempt: &mut AttemptHistory, kind: StepKind) -> impl Iterator<Item = &mut StepHistory> {
    let steps = attempt.steps.iter_mut();
    steps.filter(move |step| step.kind == kind && step.end.is_none())
}

fn end(step: &mut StepHistory, how: StepEnd, now: Duration) {
    step.end = Some(how);
    step.took = step.after.map(|after| now.saturating_sub(after));
}
