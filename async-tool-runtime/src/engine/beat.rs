//! One heartbeat for all tasks of this worker. It carries their progress out
//! and brings back which of them were cancelled, or belong to somebody else.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use super::stop::Cause;
use crate::store::{Beat, Epoch, Report, TaskId};

/// How often progress is written at most.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

impl Engine {
    /// Beats until the engine stops; rests while nothing runs.
    pub(super) async fn beat_forever(self: Arc<Self>) {
        loop {
            self.worker.busy().await;
            let reports = self.reports();
            if !reports.is_empty() || self.worker.lease_age() >= self.config.lease / 3 {
                self.beat(reports).await;
            }
            tokio::time::sleep(REPORT_INTERVAL).await;
        }
    }

    fn reports(&self) -> Vec<Report> {
        self.worker
            .all()
            .iter()
            .filter(|live| live.progress.take_dirty())
            .map(|live| {
                let progress = live.progress.state();
                let revision = live.revision(progress.step_changes);
                Report::new(live.record.id, live.record.epoch, progress, revision)
            })
            .collect()
    }

    async fn beat(&self, reports: Vec<Report>) {
        let store = Arc::clone(&self.store);
        let lease = self.worker.lease;
        let sent = Instant::now();
        let claiming = self.worker.is_claiming();
        let beat = Self::detached(async move { store.beat(lease, reports).await });
        match tokio::time::timeout(lease.duration / 3, beat).await {
            Ok(Ok(beat)) => {
                if sent.elapsed() < lease.duration {
                    self.worker.renewed();
                }
                let owned = self.heed(beat);
                // While nothing is being claimed, everything of ours is known.
                if !claiming && !self.worker.is_claiming() {
                    self.give_back_unknown(owned).await;
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the heartbeat failed"),
            Err(_) => tracing::warn!("the heartbeat got no answer in time"),
        }
        if self.worker.lease_age() >= lease.duration {
            tracing::error!("the lease was lost; what runs here is stopped");
            self.worker.stop_running(&Cause::LeaseLost);
        }
    }

    /// Passes on what the beat brought; returns what the session owns.
    fn heed(&self, beat: Beat) -> Vec<(TaskId, Epoch)> {
        for (id, reason) in beat.cancelled {
            if let Some(live) = self.worker.get(id) {
                live.stop.fire(Cause::Cancelled(reason));
            }
        }
        for id in beat.fenced {
            if let Some(live) = self.worker.get(id) {
                live.stop.fire(Cause::LeaseLost);
            }
        }
        beat.owned
    }

    /// Gives back what the store takes for ours and nobody here knows: the
    /// answer to a claim got lost. Their attempts have never begun. (What has
    /// ended in the meantime refuses to be given back.)
    async fn give_back_unknown(&self, owned: Vec<(TaskId, Epoch)>) {
        for (id, epoch) in owned {
            if self.worker.get(id).is_none() {
                self.give_back(id, epoch).await;
            }
        }
    }
}
