//! One heartbeat for all tasks of this worker. It carries their progress out
//! and brings back which of them were cancelled, or belong to somebody else.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime;
use tokio::time::Instant;

use super::Engine;
use super::history::Unstored;
use super::stop::Cause;
use super::worker::{Live, Whereabouts};
use crate::store::{Beat, Owned, Release, Report, TaskId};

/// How often progress is written at most.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

impl Engine {
    /// Starts the heartbeat, on a thread of its own: a tool that blocks all
    /// threads of the application's runtime must not cost it the lease.
    pub(super) fn start_beat(self: &Arc<Self>) {
        if self.clock.follows_tokio() {
            // A thread of its own would not see the paused clock of a test.
            self.spawn(Self::keep_lease);
            return;
        }
        let (engine, stopped) = (Arc::clone(self), self.stopped.clone());
        let started = runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .and_then(|runtime| {
                let beat = move || {
                    runtime.block_on(stopped.run_until_cancelled_owned(engine.keep_lease()));
                };
                std::thread::Builder::new()
                    .name("async-tool-beat".to_owned())
                    .spawn(beat)
            });
        if let Err(error) = started {
            tracing::warn!(%error, "no thread for the heartbeat; it shares the application's");
            self.spawn(Self::keep_lease);
        }
    }

    /// Beats, and stops what is no longer leased, until the engine stops; rests
    /// while nothing runs.
    async fn keep_lease(self: Arc<Self>) {
        tokio::join!(self.beat_forever(), self.stop_unleased());
    }

    /// By the clock alone: a heartbeat that hangs must not put it off.
    async fn stop_unleased(&self) {
        loop {
            self.worker.busy().await;
            let Some(next) = self.worker.stop_unleased() else {
                // All of it has been asked to stop.
                tokio::time::sleep(self.config.lease).await;
                continue;
            };
            tokio::time::sleep_until(next).await;
            if next.elapsed() > self.pause() {
                // This process stood still (a debugger, Ctrl-Z, a freezer). Its
                // tasks may be its own all the same: the heartbeat will tell.
                tokio::time::sleep(self.config.lease / 3).await;
            }
        }
    }

    async fn beat_forever(&self) {
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
            tokio::time::sleep(self.pause()).await;
        }
    }

    /// How long to rest between heartbeats. Short leases are for tests of what
    /// happens when they run out.
    fn pause(&self) -> Duration {
        REPORT_INTERVAL.min(self.config.lease / 6)
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
        let histories: Vec<_> = news.iter().map(|live| live.history.unstored()).collect();
        let both = news.iter().zip(&histories);
        let reports: Vec<Report> = both
            .map(|(live, history)| report(live, history.as_ref()))
            .collect();
        let logs: Vec<_> = reports.iter().map(|report| report.log.clone()).collect();
        let sent = Instant::now();
        let (claiming, doubts) = (self.worker.is_claiming(), self.worker.doubts());
        let (running, forsaken) = (self.worker.all(), self.worker.forsaken());
        let beat = Self::detached(async move { store.beat(lease, reports).await });
        let answered = match tokio::time::timeout(lease.duration / 3, beat).await {
            Ok(Ok(beat)) => {
                for (live, lines) in news.iter().zip(&logs) {
                    live.log.stored(lines);
                }
                for (live, history) in news.iter().zip(&histories) {
                    history.iter().for_each(|known| live.history.stored(known));
                }
                let owned = self.heed(beat, &running, sent);
                for live in forsaken {
                    let owned = owned.get(&live.record.id);
                    if owned.is_none_or(|owned| owned.epoch != live.record.epoch) {
                        self.worker.forget(&live);
                    }
                }
                // While nothing is being claimed, everything of ours is known.
                if !claiming && !self.worker.is_claiming() {
                    self.clear_unknown(owned).await;
                    self.worker.settle_doubts(doubts);
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
        answered
    }

    /// Passes on what the beat brought, to what had been running when it was
    /// sent; returns what the session owns.
    fn heed(&self, beat: Beat, running: &[Arc<Live>], sent: Instant) -> HashMap<TaskId, Owned> {
        let owned: HashMap<TaskId, Owned> = beat
            .owned
            .into_iter()
            .map(|owned| (owned.id, owned))
            .collect();
        for live in running {
            match owned.get(&live.record.id) {
                Some(owned) if owned.epoch == live.record.epoch => {
                    live.confirm(sent);
                    if let Some(reason) = &owned.cancel {
                        live.stop.fire(Cause::Cancelled(Arc::clone(reason)));
                    }
                }
                // Has ended just now, or belongs to somebody else.
                _ => {
                    live.stop.fire(Cause::LeaseLost);
                }
            }
        }
        owned
    }

    /// Clears up what the store takes for ours and nobody here executes.
    ///
    /// Where the answer to a claim got lost, the attempt has never begun, and
    /// the task is given back. (What has ended in the meantime refuses that.)
    async fn clear_unknown(&self, owned: HashMap<TaskId, Owned>) {
        for owned in owned.into_values() {
            let (id, epoch) = (owned.id, owned.epoch);
            match self.worker.whereabouts(id, epoch) {
                Whereabouts::Running => {}
                Whereabouts::Lingering(_) if owned.lingers => {}
                Whereabouts::Lingering(live) => {
                    self.settle_lingering(&live, owned.cancel).await;
                }
                Whereabouts::Forsaken(live) => self.settle_forsaken(&live).await,
                Whereabouts::Unknown if owned.lingers => {
                    self.release(id, epoch, Release::Stopped).await;
                }
                Whereabouts::Unknown => self.give_back(id, epoch).await,
            }
        }
    }
}

fn report(live: &Live, history: Option<&Unstored>) -> Report {
    let progress = live.progress.state();
    let revision = live.revision(progress.step_changes);
    let number = live.reports.fetch_add(1, Ordering::Relaxed) + 1;
    let (id, epoch) = (live.record.id, live.record.epoch);
    Report {
        log: live.log.unstored(),
        history: history.map(|unstored| Arc::clone(&unstored.text)),
        ..Report::new(id, epoch, number, progress, revision)
    }
}
