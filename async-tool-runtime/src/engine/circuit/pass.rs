//! The right to begin an attempt, and where to report what it came to.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Breaker;

/// The probes that a claim may bring.
#[derive(Debug)]
pub(crate) struct Probes(HashMap<Arc<str>, Pass>);

impl Probes {
    pub(super) fn of(probes: HashMap<Arc<str>, Pass>) -> Self {
        Self(probes)
    }

    pub(crate) fn take(&mut self, tool: &str) -> Option<Pass> {
        self.0.remove(tool)
    }
}

/// The right to begin an attempt; what it came to is reported here. A probe that
/// is dropped without a report lets another follow.
#[derive(Debug, Default)]
pub(crate) struct Pass(Option<Issued>);

#[derive(Debug)]
struct Issued {
    breaker: Arc<Breaker>,
    generation: u64,
    began: Instant,
    /// The next probe has to wait for this one.
    probes: AtomicBool,
    /// It has waited for its caller: what it took says nothing.
    waited: AtomicBool,
    /// It was a probe for too long without being told to stop.
    hung: AtomicBool,
}

impl Pass {
    pub(super) fn of(breaker: Arc<Breaker>, generation: u64, probes: bool) -> Self {
        Self(Some(Issued {
            breaker,
            generation,
            began: Instant::now(),
            probes: AtomicBool::new(probes),
            waited: AtomicBool::new(false),
            hung: AtomicBool::new(false),
        }))
    }

    pub(super) fn is_probe(&self) -> bool {
        let probes = |issued: &Issued| issued.probes.load(Ordering::Acquire);
        self.0.as_ref().is_some_and(probes)
    }

    /// How long the next probe has to wait for this one at most; none if it has
    /// not to wait.
    pub(super) fn patience(&self) -> Option<Duration> {
        let issued = self.0.as_ref().filter(|_| self.is_probe())?;
        Some(issued.breaker.patience())
    }

    /// Says what the attempt came to; none: nothing that speaks for the tool or
    /// against it. Returns until when the breaker is open, if it has opened.
    pub(super) fn report(&self, success: Option<bool>) -> Option<Instant> {
        let issued = self.0.as_ref()?;
        if success == Some(true) && !issued.waited.load(Ordering::Acquire) {
            issued.breaker.learn(issued.began.elapsed());
        }
        let opened = success.and_then(|success| issued.breaker.report(success, issued.generation));
        self.end_probe();
        opened
    }

    /// Lets another probe follow, because this one waits for its caller.
    pub(in crate::engine) fn step_aside(&self) {
        if let Some(issued) = &self.0 {
            issued.waited.store(true, Ordering::Release);
        }
        self.end_probe();
    }

    /// Lets another probe follow, because this one takes too long. It `hangs`,
    /// unless it was told to stop.
    pub(super) fn give_up(&self, hangs: bool) {
        if let Some(issued) = self.0.as_ref().filter(|_| self.end_probe()) {
            tracing::warn!(tool = %issued.breaker.tool, "a probe takes long; another may follow");
            issued.hung.store(hangs, Ordering::Release);
        }
    }

    pub(super) fn has_hung(&self) -> bool {
        let hung = |issued: &Issued| issued.hung.load(Ordering::Acquire);
        self.0.as_ref().is_some_and(hung)
    }

    /// Whether the next one had to wait for this one until now.
    fn end_probe(&self) -> bool {
        let held_up = |issued: &&Issued| issued.probes.swap(false, Ordering::AcqRel);
        let issued = self.0.as_ref().filter(held_up);
        if let Some(issued) = issued {
            issued.breaker.end_probe(issued.generation);
        }
        issued.is_some()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.end_probe();
    }
}
