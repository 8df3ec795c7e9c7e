//! What this worker executes at the moment.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Config;
use super::admission::Slots;
use super::stop::{Cause, Stop};
use crate::catalog::Catalog;
use crate::progress::Progress;
use crate::store::Lease;
use crate::task::{SessionId, TaskId, TaskRecord};

/// The executing part of an engine.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) lease: Lease,
    pub(crate) slots: Slots,
    running: Mutex<HashMap<TaskId, Arc<Live>>>,
    /// How many tasks run; watched for becoming zero, and for not being it.
    count: watch::Sender<usize>,
    /// When the lease was renewed last.
    renewed: Mutex<Instant>,
    /// Something may be queued that nobody has tried to claim.
    backlog: AtomicBool,
    pub(crate) wake: Notify,
}

/// A task that this worker executes.
#[derive(Debug)]
pub(crate) struct Live {
    /// The record as it was claimed.
    pub(crate) record: TaskRecord,
    pub(crate) progress: Progress,
    pub(crate) stop: Stop,
}

impl Live {
    /// The record's revision, counting what the store has not been told yet.
    pub(crate) fn revision(&self, step_changes: u64) -> u64 {
        self.record.revision + step_changes + u64::from(self.stop.cause().is_some())
    }
}

impl Worker {
    pub(crate) fn new(config: &Config, catalog: &Catalog) -> Self {
        Self {
            lease: Lease::new(SessionId::random(), config.lease),
            slots: Slots::new(config.slots, catalog),
            running: Mutex::default(),
            count: watch::Sender::new(0),
            renewed: Mutex::new(Instant::now()),
            // An earlier process may have left something.
            backlog: AtomicBool::new(true),
            wake: Notify::new(),
        }
    }

    pub(crate) fn add(&self, live: Arc<Live>) {
        let mut running = self.running();
        running.insert(live.record.id, live);
        self.count.send_replace(running.len());
    }

    pub(crate) fn remove(&self, id: TaskId) {
        let mut running = self.running();
        running.remove(&id);
        self.count.send_replace(running.len());
    }

    pub(crate) fn get(&self, id: TaskId) -> Option<Arc<Live>> {
        self.running().get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        self.running().values().cloned().collect()
    }

    /// Completes when nothing runs.
    pub(crate) async fn idle(&self) {
        // The sender is not dropped while `self` is borrowed.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Completes when something runs.
    pub(crate) async fn busy(&self) {
        let _ = self.count.subscribe().wait_for(|count| *count > 0).await;
    }

    pub(crate) fn stop_all(&self, cause: &Cause) {
        for live in self.all() {
            live.stop.fire(cause.clone());
        }
    }

    /// Says that the store has just renewed the lease.
    pub(crate) fn renewed(&self) {
        *self.last_renewal() = Instant::now();
    }

    pub(crate) fn lease_age(&self) -> std::time::Duration {
        self.last_renewal().elapsed()
    }

    /// Says that something may be queued.
    pub(crate) fn expect_backlog(&self) {
        self.backlog.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// As [`expect_backlog`](Self::expect_backlog), for when a slot becomes
    /// free.
    pub(crate) fn remember_backlog(&self) {
        self.backlog.store(true, Ordering::Release);
    }

    /// Whether something may be queued; asks for no second look.
    pub(crate) fn take_backlog(&self) -> bool {
        self.backlog.swap(false, Ordering::AcqRel)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<TaskId, Arc<Live>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_renewal(&self) -> MutexGuard<'_, Instant> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
