//! What this worker executes at the moment.

use std::collections::{HashMap, HashSet, hash_map};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::Config;
use super::admission::Slots;
use super::stop::{Cause, Stop};
use crate::catalog::Catalog;
use crate::log::TaskLog;
use crate::progress::Progress;
use crate::steps::Standing;
use crate::store::{Epoch, Lease};
use crate::task::{SessionId, TaskId, TaskRecord};

/// The executing part of an engine.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) lease: Lease,
    pub(crate) slots: Slots,
    running: Mutex<Running>,
    /// How much goes on: tasks that run, and claims under way.
    load: watch::Sender<Load>,
    /// When the lease was renewed last.
    renewed: Mutex<Instant>,
    /// When what is owned was told last.
    told: Mutex<Instant>,
    /// Something may be queued that nobody has tried to claim.
    backlog: AtomicBool,
    pub(crate) wake: Notify,
}

#[derive(Debug, Default)]
struct Running {
    tasks: HashMap<TaskId, Arc<Live>>,
    /// Attempts that ended, or were given up, without a word to the store,
    /// because the lease was lost.
    forsaken: HashMap<TaskId, Arc<Live>>,
    /// Attempts that are over here, and whose bodies cannot be stopped.
    lingering: HashSet<(TaskId, Epoch)>,
    /// Everything was asked to stop, and so is whatever comes after.
    stopping: Option<Cause>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Load {
    running: usize,
    claiming: usize,
    lingering: usize,
}

/// A claim under way: the store may have given this worker tasks that it does
/// not know yet.
#[derive(Debug)]
pub(crate) struct Claiming<'a> {
    worker: &'a Worker,
}

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        self.worker.load.send_modify(|load| load.claiming -= 1);
    }
}

/// A task that this worker executes.
#[derive(Debug)]
pub(crate) struct Live {
    /// The record as it was claimed.
    pub(crate) record: TaskRecord,
    /// When the claim was sent.
    pub(crate) claimed: Instant,
    pub(crate) progress: Progress,
    pub(crate) log: Arc<TaskLog>,
    pub(crate) stop: Stop,
    /// How many reports were sent.
    pub(crate) reports: AtomicU64,
}

impl Live {
    /// The record's revision, counting what the store has not been told yet.
    pub(crate) fn revision(&self, step_changes: u64) -> u64 {
        self.record.revision + step_changes + u64::from(self.stop.is_requested())
    }
}

impl Worker {
    pub(crate) fn new(config: &Config, catalog: &Catalog) -> Self {
        Self {
            lease: Lease::new(SessionId::random(), config.lease),
            slots: Slots::new(config.slots, catalog),
            running: Mutex::default(),
            load: watch::Sender::default(),
            renewed: Mutex::new(Instant::now()),
            told: Mutex::new(Instant::now()),
            // An earlier process may have left something.
            backlog: AtomicBool::new(true),
            wake: Notify::new(),
        }
    }

    /// Says that a claim is under way, until what it brings has been added.
    pub(crate) fn claiming(&self) -> Claiming<'_> {
        self.load.send_modify(|load| load.claiming += 1);
        Claiming { worker: self }
    }

    pub(crate) fn is_claiming(&self) -> bool {
        self.load.borrow().claiming > 0
    }

    pub(crate) fn add(&self, live: Arc<Live>) {
        let mut running = self.running();
        if let Some(cause) = &running.stopping {
            live.stop.fire(cause.clone());
        }
        running.tasks.insert(live.record.id, live);
        self.count(&running);
    }

    /// Forgets an attempt. The next one of the same task may be here already.
    pub(crate) fn remove(&self, live: &Live) {
        let mut running = self.running();
        if let hash_map::Entry::Occupied(present) = running.tasks.entry(live.record.id)
            && present.get().record.epoch == live.record.epoch
        {
            present.remove();
        }
        self.count(&running);
    }

    /// Says that an attempt is over, and that its body goes on.
    pub(crate) fn linger(&self, live: &Live) {
        let mut running = self.running();
        running
            .lingering
            .insert((live.record.id, live.record.epoch));
        self.count(&running);
    }

    pub(crate) fn unlinger(&self, live: &Live) {
        let mut running = self.running();
        running
            .lingering
            .remove(&(live.record.id, live.record.epoch));
        self.count(&running);
    }

    /// Whether the body of this attempt goes on.
    pub(crate) fn lingers(&self, id: TaskId, epoch: Epoch) -> bool {
        self.running().lingering.contains(&(id, epoch))
    }

    fn count(&self, running: &Running) {
        let (tasks, lingering) = (running.tasks.len(), running.lingering.len());
        self.load.send_modify(|load| {
            load.running = tasks;
            load.lingering = lingering;
        });
    }

    /// Remembers that an attempt began whose end the store does not know.
    pub(crate) fn forsake(&self, live: &Arc<Live>) {
        let mut running = self.running();
        running.forsaken.insert(live.record.id, Arc::clone(live));
    }

    /// The attempts whose end the store does not know.
    pub(crate) fn forsaken(&self) -> HashMap<TaskId, Arc<Live>> {
        self.running().forsaken.clone()
    }

    /// Forgets an attempt: it is settled, or the task is not ours any more.
    pub(crate) fn forget(&self, id: TaskId) {
        self.running().forsaken.remove(&id);
    }

    pub(crate) fn get(&self, id: TaskId) -> Option<Arc<Live>> {
        self.running().tasks.get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        self.running().tasks.values().cloned().collect()
    }

    /// Completes when nothing runs and nothing is being claimed.
    pub(crate) async fn idle(&self) {
        let mut load = self.load.subscribe();
        // The sender is not dropped while `self` is borrowed.
        let _ = load
            .wait_for(|load| load.running == 0 && load.claiming == 0)
            .await;
    }

    /// Completes when something runs, or a body goes on.
    pub(crate) async fn busy(&self) {
        let mut load = self.load.subscribe();
        let _ = load
            .wait_for(|load| load.running > 0 || load.lingering > 0)
            .await;
    }

    /// Asks everything to stop that runs now or is started later.
    pub(crate) fn stop_all(&self, cause: &Cause) {
        let mut running = self.running();
        running.stopping = Some(cause.clone());
        for live in running.tasks.values() {
            live.stop.fire(cause.clone());
        }
    }

    /// Asks everything to stop that runs now.
    pub(crate) fn stop_running(&self, cause: &Cause) {
        for live in self.running().tasks.values() {
            live.stop.fire(cause.clone());
        }
    }

    /// Says that the store has renewed the lease in answer to a call that was
    /// sent at this time: the store cannot have renewed it earlier, but may
    /// have long before its answer came.
    pub(crate) fn renewed(&self, sent: Instant) {
        let mut renewed = self.last_renewal();
        *renewed = sent.max(*renewed);
    }

    pub(crate) fn lease_age(&self) -> std::time::Duration {
        self.last_renewal().elapsed()
    }

    /// Says that a heartbeat, sent at this time, has told what is owned, and
    /// that what is not has been asked to stop.
    ///
    /// A claim renews the lease as well, of a session that may have lost
    /// everything before, and does not tell.
    pub(crate) fn told(&self, sent: Instant) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told = sent.max(*told);
    }

    /// Whether an attempt still owns its task.
    pub(crate) fn standing(&self, id: TaskId, epoch: Epoch) -> Standing {
        let Some(live) = self.get(id).filter(|live| live.record.epoch == epoch) else {
            return Standing::Over;
        };
        let told = *self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.max(live.claimed).elapsed() < self.lease.duration {
            Standing::Ours
        } else {
            Standing::Unknown
        }
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

    /// Whether something may be queued that waits for a slot.
    pub(crate) fn has_backlog(&self) -> bool {
        self.backlog.load(Ordering::Acquire)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_renewal(&self) -> MutexGuard<'_, Instant> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
