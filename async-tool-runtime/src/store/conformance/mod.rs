//! Tells whether a store keeps the [contract](super).
//!
//! There is a case for each sentence of the contract, of the sentence's name.
//! The cases name nothing that is not public, so the store may be in another
//! crate, and they live in real time, so it may talk to a real server. Each
//! case has namespaces of its own; they run side by side and take a few
//! seconds in all.
//!
//! ```
//! use async_tool_runtime::store::MemoryStore;
//! use async_tool_runtime::store::conformance::Conformance;
//!
//! # #[tokio::main]
//! # async fn main() {
//! Conformance::new(MemoryStore::new()).run().await.assert();
//! # }
//! ```
//!
//! A store that several processes share should be given twice, by two
//! connections that have nothing in common but the engine:
//! [`Conformance::reopen`]. Then one writes, the other one reads, and both
//! race.
//!
//! The suite leaves its records behind, with a retention of ten minutes. It
//! does not kill processes and cut no power: that a store is as durable as the
//! contract says needs tests of its own.

#[macro_use]
mod check;
mod report;
mod space;

mod beat;
mod cancel;
mod changes;
mod claim;
mod create;
mod finish;
mod general;
mod notices;
mod operators;
mod questions;
mod read;
mod reap;
mod release;
mod steps;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

use super::OpenStore;
use check::{Failure, Outcome, Problem};
pub use report::{CaseReport, Report};
use space::Space;

/// How many cases run at once.
const AT_ONCE: usize = 16;

/// A sentence of the contract, and what shows whether a store keeps it.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    run: fn(Space) -> BoxFuture<'static, Outcome>,
}

const CASES: &[&[Case]] = &[
    general::CASES,
    create::CASES,
    claim::CASES,
    beat::CASES,
    finish::CASES,
    release::CASES,
    steps::CASES,
    questions::CASES,
    cancel::CASES,
    read::CASES,
    reap::CASES,
    notices::CASES,
    operators::CASES,
    changes::CASES,
];

/// A run of the suite, to be configured and started.
#[derive(Clone)]
pub struct Conformance {
    open: Arc<dyn OpenStore>,
    reopen: Arc<dyn OpenStore>,
    lease: Duration,
    patience: Duration,
    only: Option<Vec<String>>,
}

impl Conformance {
    /// All cases, for this store.
    pub fn new(open: impl OpenStore) -> Self {
        let open: Arc<dyn OpenStore> = Arc::new(open);
        Self {
            reopen: Arc::clone(&open),
            open,
            lease: Duration::from_millis(300),
            patience: Duration::from_secs(10),
            only: None,
        }
    }

    /// Opens the same engine a second time, as another process would. Without
    /// this, the store itself opens each namespace twice.
    #[must_use]
    pub fn reopen(mut self, reopen: impl OpenStore) -> Self {
        self.reopen = Arc::new(reopen);
        self
    }

    /// Sets the unit of time, 300 ms unless said otherwise: how long a lease
    /// lasts, a deadline or a pause, where a case waits for its end. Longer than
    /// a call of the store takes. A case for which the machine was too slow
    /// runs again with a longer one.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how long cases wait for what must happen, 10 s unless said
    /// otherwise: longer than three leases. A case that has not ended after
    /// three times as long has failed.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs the cases of these names and no other.
    #[must_use]
    pub fn only<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.only = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The names of all cases.
    pub fn names() -> impl Iterator<Item = &'static str> {
        cases().map(|case| case.name)
    }

    /// Runs the cases. Needs a tokio runtime whose clock is not paused; one of
    /// several threads if the store blocks.
    pub async fn run(self) -> Report {
        let unknown = self.unknown();
        let selected: Vec<Case> = cases().filter(|case| self.selects(case.name)).collect();
        let this = Arc::new(self);
        let free = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        for (place, case) in selected.iter().copied().enumerate() {
            let (this, free) = (Arc::clone(&this), Arc::clone(&free));
            running.spawn(async move {
                let _permit = free.acquire_owned().await;
                (place, this.judge(case).await)
            });
        }
        let mut judged = running.join_all().await;
        judged.sort_by_key(|(place, _)| *place);
        let judged = judged.into_iter().map(|(_, report)| report);
        Report::new(unknown.into_iter().chain(judged).collect())
    }

    fn selects(&self, name: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| only.iter().any(|selected| selected == name))
    }

    fn unknown(&self) -> Vec<CaseReport> {
        let only = self.only.iter().flatten();
        only.filter(|name| Self::names().all(|known| known != *name))
            .map(|name| CaseReport::new(name.clone(), Some("there is no such case".to_owned())))
            .collect()
    }

    async fn judge(&self, case: Case) -> CaseReport {
        let started = Instant::now();
        let mut lease = self.lease;
        let failure = loop {
            match self.attempt(case, lease).await {
                Ok(()) => break None,
                Err(Failure::TooSlow) if lease < self.lease * 16 => lease *= 4,
                Err(failure) => break Some(failure.to_string()),
            }
        };
        CaseReport {
            took: started.elapsed(),
            ..CaseReport::new(case.name, failure)
        }
    }

    async fn attempt(&self, case: Case, lease: Duration) -> Outcome {
        let (open, reopen) = (Arc::clone(&self.open), Arc::clone(&self.reopen));
        let patience = self.patience.max(lease * 3);
        let limit = patience * 3;
        let mut running = JoinSet::new();
        running.spawn(async move {
            let space = Space::open(case.name, open, reopen, lease, patience).await;
            (case.run)(space.map_err(Failure::Outside)?).await
        });
        match tokio::time::timeout(limit, running.join_next()).await {
            Ok(Some(Ok(outcome))) => outcome,
            Ok(Some(Err(error))) => Err(Failure::Outside(Problem::new(panic_message(error)))),
            // There is one task in the set, so this is the time limit.
            Ok(None) | Err(_) => {
                let hangs = Problem::new(format!("it hangs: no end after {limit:?}"));
                Err(Failure::Outside(hangs))
            }
        }
    }
}

fn cases() -> impl Iterator<Item = Case> {
    CASES.iter().copied().flatten().copied()
}

fn panic_message(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "the case was cut off: the runtime shuts down".to_owned();
    };
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a panic: {}", text.unwrap_or("of no text"))
}
