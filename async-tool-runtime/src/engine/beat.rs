//! One heartbeat for all tasks of this worker. It carries their progress out
//! and brings back which of them were cancelled, or belong to somebody else.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use super::stop::Cause;
use super::worker::Live;
use crate::store::{Beat, End, Epoch, Outcome, Owned, Report, TaskFailure, TaskId};

/// How often progress is written at most.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

impl Engine {
    /// Beats until the engine stops; rests while nothing runs.
    pub(super) async fn beat_forever(self: Arc<Self>) {
        let every = self.config.lease / 3;
        // Claims renew the lease as well, but only a beat brings news.
        let mut answered: Option<Instant> = None;
        loop {
            self.worker.busy().await;
            let news = self.news();
            if !news.is_empty() || answered.is_none_or(|at| at.elapsed() >= every) {
                let sent = Instant::now();
                if self.beat(&news).await {
                    answered = Some(sent);
                }
            }
            tokio::time::sleep(REPORT_INTERVAL).await;
        }
    }

    /// The tasks whose progress the store does not know.
    fn news(&self) -> Vec<Arc<Live>> {
        let mut news = self.worker.all();
        news.retain(|live| live.progress.take_dirty());
        news
    }

    /// Sends one heartbeat; whether it was answered.
    async fn beat(&self, news: &[Arc<Live>]) -> bool {
        let store = Arc::clone(&self.store);
        let lease = self.worker.lease;
        let reports = news.iter().map(|live| report(live)).collect();
        let sent = Instant::now();
        let claiming = self.worker.is_claiming();
        let (running, forsaken) = (self.worker.all(), self.worker.forsaken());
        let beat = Self::detached(async move { store.beat(lease, reports).await });
        let answered = match tokio::time::timeout(lease.duration / 3, beat).await {
            Ok(Ok(beat)) => {
                self.worker.renewed(sent);
                let owned = self.heed(beat, &running);
                for id in forsaken.keys().filter(|id| !owned.contains_key(id)) {
                    self.worker.forget(*id);
                }
                // While nothing is being claimed, everything of ours is known.
                if !claiming && !self.worker.is_claiming() {
                    self.clear_unknown(owned).await;
                }
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the heartbeat failed");
                false
            }
            Err(_) => {
                tracing::warn!("the heartbeat got no answer in time");
                false
            }
        };
        if !answered {
            for live in news {
                live.progress.set_dirty();
            }
        }
        if self.worker.lease_age() >= lease.duration {
            tracing::error!("the lease was lost; what runs here is stopped");
            self.worker.stop_running(&Cause::LeaseLost);
        }
        answered
    }

    /// Passes on what the beat brought, to what had been running when it was
    /// sent; returns what the session owns.
    fn heed(&self, beat: Beat, running: &[Arc<Live>]) -> HashMap<TaskId, Owned> {
        let owned: HashMap<TaskId, Owned> = beat
            .owned
            .into_iter()
            .map(|owned| (owned.id, owned))
            .collect();
        for live in running {
            match owned.get(&live.record.id) {
                Some(owned) if owned.epoch == live.record.epoch => {
                    if let Some(reason) = &owned.cancel {
                        live.stop.fire(Cause::Cancelled(Arc::clone(reason)));
                    }
                }
                // Has ended just now, or belongs to somebody else.
                _ => live.stop.fire(Cause::LeaseLost),
            }
        }
        owned
    }

    /// Clears up what the store takes for ours and nobody here executes.
    ///
    /// Where the answer to a claim got lost, the attempt has never begun, and
    /// the task is given back. (What has ended in the meantime refuses that.)
    /// An attempt that was stopped because the lease seemed lost may have had
    /// effects: it is not repeated (invariant 7).
    async fn clear_unknown(&self, owned: HashMap<TaskId, Owned>) {
        for Owned { id, epoch, .. } in owned.into_values() {
            if self.worker.get(id).is_some() {
                continue;
            }
            if self.worker.forsaken().get(&id) == Some(&epoch) {
                self.interrupt(id, epoch).await;
            } else {
                self.give_back(id, epoch).await;
            }
        }
    }

    async fn interrupt(&self, id: TaskId, epoch: Epoch) {
        let failure = TaskFailure::interrupted(
            "the worker lost the store while it executed the task; what it had done by then may have had effects",
        );
        let end = End::new(Outcome::Failed(Box::new(failure)), 0);
        let store = Arc::clone(&self.store);
        match Self::detached(async move { store.finish(id, epoch, end).await }).await {
            Ok(_) => {
                self.worker.forget(id);
                self.hub.wake(id);
            }
            // The next beat tries again.
            Err(error) => tracing::warn!(%error, task_id = %id, "could not interrupt a task"),
        }
    }
}

fn report(live: &Live) -> Report {
    let progress = live.progress.state();
    let revision = live.revision(progress.step_changes);
    let number = live.reports.fetch_add(1, Ordering::Relaxed) + 1;
    Report::new(
        live.record.id,
        live.record.epoch,
        number,
        progress,
        revision,
    )
}
