//! Counting what has ended or was queued again, and what is queued.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use super::stop::Cause;
use super::worker::Live;
use crate::store::{Outcome, TaskId, TaskRecord};
use crate::telemetry::Requeued;

/// How often the queues are counted at most.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

impl Engine {
    /// A task ended by what this engine wrote. `counts`: a failure speaks against
    /// the tool.
    pub(super) fn tell_end(&self, record: &TaskRecord, outcome: &Outcome, counts: bool) {
        let took = self.clock.now().since(record.created_at);
        self.telemetry.ended(&record.tool, outcome, took, counts);
    }

    /// A task was given back to be started again.
    pub(super) fn tell_requeue(&self, live: &Live) {
        let cause = match live.stop.cause() {
            Some(Cause::Shutdown { .. }) => Requeued::Shutdown,
            Some(Cause::LeaseLost) => Requeued::LeaseLost,
            _ => Requeued::Retry,
        };
        let meters = &self.telemetry.meters;
        meters.requeued(&live.record.tool, cause);
    }

    /// Tells what a round of the sweeper did. It knows ids alone: the records
    /// are read, which is not to hold it up.
    pub(super) fn tell_reaped(self: &Arc<Self>, reaped: Vec<(TaskId, Fate)>) {
        if reaped.is_empty() {
            return;
        }
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            for (id, fate) in reaped {
                // Unreadable is as good as of an unknown tool; the store's errors
                // are counted elsewhere.
                let record = engine.store.get(id).await.ok().flatten();
                engine.tell_fate(record.as_ref(), fate);
            }
        });
    }

    fn tell_fate(&self, record: Option<&TaskRecord>, fate: Fate) {
        let tool = record.map_or("", |record| &record.tool);
        let ended = match fate {
            Fate::Requeued => false,
            Fate::Interrupted | Fate::Expired => true,
        };
        if !matches!(fate, Fate::Expired) {
            self.telemetry.meters.taken_over(tool, ended);
        }
        if let Some(record) = record.filter(|_| ended)
            && let (Some(outcome), Some(at)) = (&record.outcome, record.finished_at)
        {
            let took = at.since(record.created_at);
            self.telemetry.ended(tool, outcome, took, true);
        }
    }

    /// Looks how much is queued, unless somebody did a moment ago.
    pub(super) async fn count_queues(&self, counted: &mut Option<Instant>) {
        if counted.is_some_and(|at| at.elapsed() < COUNT_INTERVAL) {
            return;
        }
        *counted = Some(Instant::now());
        match self.store.stats().await {
            Ok(stats) => self.telemetry.meters.queues(&stats),
            // The sweeper says so when the store is away.
            Err(error) => tracing::debug!(%error, "could not count what is queued"),
        }
    }
}

/// What became of a task that the sweeper dealt with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// Its worker had died; it is started again.
    Requeued,
    /// Its worker had died.
    Interrupted,
    /// Its deadline passed in the queue.
    Expired,
}
