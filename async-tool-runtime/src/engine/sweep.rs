//! What happens by itself: deadlines of queued tasks, the end of retention,
//! tasks of dead workers, and changes that others made.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};

use super::stop::Cause;
use super::tally::Fate;
use super::{Engine, died};
use crate::store::{Change, Reaped};
use crate::task::TaskId;

/// Most tasks of a kind that one round cleans up.
const BATCH: usize = 256;
/// The sweeper looks at least this often, whatever it knows, and twice in the
/// time of a lease, so that a dead worker is found in time.
const MAX_PAUSE: Duration = Duration::from_secs(5);
const MIN_PAUSE: Duration = Duration::from_millis(10);
/// How long to wait before following the store's changes again, at first.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

impl Engine {
    /// Cleans up until the engine stops.
    pub(super) async fn sweep_forever(self: Arc<Self>) {
        let mut counted = None;
        loop {
            let pause = self.sweep_once().await;
            self.count_queues(&mut counted).await;
            self.telemetry.look();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.sweep.notified() => {}
            }
        }
    }

    async fn sweep_once(self: &Arc<Self>) -> Duration {
        let longest = MAX_PAUSE.min(self.config.lease / 2);
        // Not detached: only the end of the engine drops this, and a tokio task
        // more would wake threads of a worker that has nothing to do.
        let reaping = AssertUnwindSafe(async { self.store.reap(BATCH).await }).catch_unwind();
        let reaped = match reaping.await.unwrap_or_else(|_| Err(died())) {
            Ok(reaped) => reaped,
            Err(error) => {
                tracing::warn!(%error, "could not clean up");
                return longest;
            }
        };
        let Reaped {
            requeued,
            interrupted,
            expired,
            purged,
            ready,
            notices: _,
            next,
        } = reaped;
        if !requeued.is_empty() {
            tracing::warn!(
                tasks = requeued.len(),
                "queued tasks again whose worker had died"
            );
        }
        if !interrupted.is_empty() {
            tracing::warn!(
                tasks = interrupted.len(),
                "ended tasks whose worker had died"
            );
        }
        let fates = [
            (&requeued, Fate::Requeued),
            (&interrupted, Fate::Interrupted),
            (&expired, Fate::Expired),
        ];
        let fates = fates.map(|(ids, fate)| ids.iter().map(move |id| (*id, fate)));
        self.tell_reaped(fates.into_iter().flatten().collect());
        for id in [requeued, interrupted, expired, purged]
            .into_iter()
            .flatten()
        {
            self.hub.wake(id);
        }
        // Announcements of queued tasks may get lost.
        if ready {
            self.worker.expect_backlog();
        }
        next.map_or(longest, |next| next.clamp(MIN_PAUSE, longest))
    }

    /// Follows what others do in the store, until the engine stops.
    pub(super) async fn follow(self: Arc<Self>, mut changes: BoxStream<'static, Change>) {
        let mut pause = FIRST_PAUSE;
        loop {
            while let Some(change) = changes.next().await {
                pause = FIRST_PAUSE;
                self.heed_change(change);
            }
            tracing::warn!(?pause, "the store's changes ended; following them again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
            changes = self.store.changes();
            // Only now: what happens from here on is told.
            self.heed_change(Change::Resync);
        }
    }

    fn heed_change(self: &Arc<Self>, change: Change) {
        match change {
            Change::Task(id) => self.hub.wake(id),
            Change::Cancel(id) => {
                self.hub.wake(id);
                // A slow read must not hold up the changes behind it.
                let engine = Arc::clone(self);
                tokio::spawn(async move { engine.heed_cancel(id).await });
            }
            Change::Queued => self.worker.expect_backlog(),
            Change::Resync => {
                self.worker.expect_backlog();
                self.hub.wake_all();
            }
        }
    }

    /// Stops a task that runs here and was asked to stop in the store.
    async fn heed_cancel(&self, id: TaskId) {
        let Some(live) = self.worker.get(id) else {
            return;
        };
        if live.stop.cause().is_some() {
            return;
        }
        match self.store.get(id).await {
            Ok(record) => {
                if let Some(reason) = record.and_then(|record| record.cancel) {
                    live.stop.fire(Cause::Cancelled(reason));
                }
            }
            // The next beat brings it as well.
            Err(error) => tracing::warn!(%error, "could not read a cancelled task"),
        }
    }
}
