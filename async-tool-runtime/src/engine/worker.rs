//! What this worker executes at the moment.

use std::collections::{HashMap, hash_map};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Config;
use super::admission::{Slot, Slots};
use super::attempt::Clocks;
use super::circuit::Pass;
use super::history::Timeline;
use super::inquiry::Waiting;
use super::stop::{Cause, Stop};
use super::timeout::Timeout;
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
    /// Something may be queued that nobody has tried to claim.
    backlog: AtomicBool,
    pub(crate) wake: Notify,
}

type Attempts = HashMap<(TaskId, Epoch), Arc<Live>>;

#[derive(Debug, Default)]
struct Running {
    tasks: HashMap<TaskId, Arc<Live>>,
    /// Attempts that ended, or were given up, without a word to the store,
    /// because the lease was lost.
    forsaken: Attempts,
    /// Attempts that are over here, and whose bodies cannot be stopped.
    lingering: Attempts,
    /// Everything was asked to stop, and so is whatever comes after.
    stopping: Option<Cause>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Load {
    running: usize,
    claiming: usize,
    lingering: usize,
    /// How many claims got no answer: the store may have given this worker
    /// tasks all the same.
    doubts: u64,
    /// How many of them a heartbeat has settled since.
    settled: u64,
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

/// What this worker knows of an attempt.
#[derive(Debug)]
pub(crate) enum Whereabouts {
    Running,
    /// It is over, and its body goes on.
    Lingering(Arc<Live>),
    /// It is over, and the store does not know.
    Forsaken(Arc<Live>),
    /// It has never begun here, or the store knows what became of it.
    Unknown,
}

/// A task that this worker executes.
#[derive(Debug)]
pub(crate) struct Live {
    /// The record as it was claimed.
    pub(crate) record: TaskRecord,
    /// When the claim, or the last heartbeat that told that the task is still
    /// ours, was sent.
    pub(crate) confirmed: Mutex<Instant>,
    /// When the task must have ended.
    pub(crate) deadline: Instant,
    /// Fires when its body has really stopped, and all is done.
    pub(crate) over: CancellationToken,
    pub(crate) progress: Progress,
    pub(crate) log: Arc<TaskLog>,
    pub(crate) history: Arc<Timeline>,
    pub(crate) stop: Stop,
    /// How many reports were sent.
    pub(crate) reports: AtomicU64,
    /// What it asks its caller, and its slot.
    pub(crate) waiting: Waiting,
    /// Where to report how it ended.
    pub(crate) pass: Pass,
    /// What it failed with does not speak against the tool.
    pub(crate) excused: AtomicBool,
    pub(crate) timeout: Option<Arc<Timeout>>,
    /// What the store added to the revision: questions and answers.
    raised: AtomicU64,
}

/// What an attempt says of itself.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) progress: Progress,
    pub(crate) log: TaskLog,
    pub(crate) history: Arc<Timeline>,
}

impl Live {
    /// An attempt of a task, whose claim was sent at this time.
    pub(crate) fn new(
        record: TaskRecord,
        slot: Slot,
        pass: Pass,
        clocks: &Clocks,
        said: Said,
        claimed: Instant,
    ) -> Self {
        let Said {
            progress,
            log,
            history,
        } = said;
        Self {
            confirmed: Mutex::new(claimed),
            deadline: clocks.deadline,
            over: CancellationToken::new(),
            progress,
            log: Arc::new(log),
            history,
            stop: Stop::default(),
            reports: AtomicU64::new(0),
            waiting: Waiting::new(slot, record.input.clone()),
            pass,
            excused: AtomicBool::new(false),
            timeout: clocks.timeout.clone(),
            raised: AtomicU64::new(0),
            record,
        }
    }

    /// Makes the revision at least this.
    pub(crate) fn raise(&self, revision: u64) {
        let missing = revision.saturating_sub(self.shown());
        self.raised.fetch_add(missing, Ordering::AcqRel);
    }

    /// Whether a failure of it counts.
    pub(crate) fn counts(&self) -> bool {
        !self.excused.load(Ordering::Acquire)
    }

    fn key(&self) -> (TaskId, Epoch) {
        (self.record.id, self.record.epoch)
    }

    /// Says that a heartbeat, sent at this time, has told that the task is
    /// ours.
    ///
    /// What a heartbeat does not speak of proves nothing: the lease is the
    /// session's, which may have lost this task and got others.
    pub(crate) fn confirm(&self, sent: Instant) {
        let mut confirmed = self
            .confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *confirmed = sent.max(*confirmed);
    }

    /// The revision that clients may have seen last.
    pub(crate) fn shown(&self) -> u64 {
        self.revision(self.progress.state().step_changes)
    }

    /// The record's revision, counting what the store has not been told yet.
    pub(crate) fn revision(&self, step_changes: u64) -> u64 {
        let raised = self.raised.load(Ordering::Acquire);
        self.record.revision + step_changes + raised + u64::from(self.stop.is_requested())
    }
}

impl Worker {
    pub(crate) fn new(config: &Config, catalog: &Catalog) -> Self {
        Self {
            lease: Lease::new(SessionId::random(), config.lease),
            slots: Slots::new(config.slots, catalog),
            running: Mutex::default(),
            load: watch::Sender::default(),
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

    /// Adds an attempt that is about to begin. Returns earlier ones of the same
    /// task that go on here: they were taken from this worker, which had not
    /// heard of it yet. They are asked to stop, and must have before this one
    /// begins. None if a later one is here: the answer to this one's claim came
    /// too late.
    pub(crate) fn add(&self, live: Arc<Live>) -> Option<Vec<Arc<Live>>> {
        let mut running = self.running();
        if let Some(present) = running.tasks.get(&live.record.id)
            && present.record.epoch > live.record.epoch
        {
            return None;
        }
        if let Some(cause) = &running.stopping {
            live.stop.fire(cause.clone());
        }
        let id = live.record.id;
        let lingering = running.lingering.values();
        let mut earlier: Vec<_> = lingering
            .filter(|lingering| lingering.record.id == id)
            .cloned()
            .collect();
        if let Some(displaced) = running.tasks.insert(id, live) {
            displaced.stop.fire(Cause::LeaseLost);
            earlier.push(displaced);
        }
        self.count(&running);
        Some(earlier)
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
    pub(crate) fn linger(&self, live: &Arc<Live>) {
        let mut running = self.running();
        running.lingering.insert(live.key(), Arc::clone(live));
        self.count(&running);
    }

    pub(crate) fn unlinger(&self, live: &Live) {
        let mut running = self.running();
        running.lingering.remove(&live.key());
        self.count(&running);
    }

    /// What has become of an attempt here.
    pub(crate) fn whereabouts(&self, id: TaskId, epoch: Epoch) -> Whereabouts {
        let running = self.running();
        let present = running.tasks.get(&id);
        if present.is_some_and(|live| live.record.epoch == epoch) {
            Whereabouts::Running
        } else if let Some(live) = running.lingering.get(&(id, epoch)) {
            Whereabouts::Lingering(Arc::clone(live))
        } else if let Some(live) = running.forsaken.get(&(id, epoch)) {
            Whereabouts::Forsaken(Arc::clone(live))
        } else {
            Whereabouts::Unknown
        }
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
        running.forsaken.insert(live.key(), Arc::clone(live));
    }

    /// The attempts whose end the store does not know.
    pub(crate) fn forsaken(&self) -> Vec<Arc<Live>> {
        self.running().forsaken.values().cloned().collect()
    }

    /// Forgets an attempt: it is settled, or the task is not ours any more.
    pub(crate) fn forget(&self, live: &Live) {
        self.running().forsaken.remove(&live.key());
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

    /// Completes when something runs, a body goes on, or nobody knows what was
    /// claimed.
    pub(crate) async fn busy(&self) {
        let mut load = self.load.subscribe();
        let _ = load
            .wait_for(|load| load.running > 0 || load.lingering > 0 || load.doubts > load.settled)
            .await;
    }

    /// Says that a claim got no answer.
    pub(crate) fn doubt(&self) {
        self.load.send_modify(|load| load.doubts += 1);
    }

    /// How many claims got no answer so far.
    pub(crate) fn doubts(&self) -> u64 {
        self.load.borrow().doubts
    }

    /// Says that a heartbeat has told what became of so many of them.
    pub(crate) fn settle_doubts(&self, doubts: u64) {
        self.load.send_if_modified(|load| {
            let more = doubts > load.settled;
            load.settled = doubts.max(load.settled);
            more
        });
    }

    /// Asks what waits for an answer to stop, where another attempt may follow.
    pub(crate) fn stop_waiting(&self, cause: &Cause) {
        let running = self.running();
        for live in running.tasks.values() {
            if live.waiting.is_parked() && live.record.attempt < live.record.max_attempts {
                live.stop.fire(cause.clone());
            }
        }
    }

    /// Asks everything to stop that runs now or is started later.
    pub(crate) fn stop_all(&self, cause: &Cause) {
        let mut running = self.running();
        running.stopping = Some(cause.clone());
        for live in running.tasks.values() {
            live.stop.fire(cause.clone());
        }
    }

    /// Asks everything to stop of which nobody knows any more whether it is
    /// still ours (invariant 5). Returns when to look again.
    pub(crate) fn stop_unleased(&self) -> Option<Instant> {
        let now = Instant::now();
        let running = self.running();
        let mut next: Option<Instant> = None;
        for live in running.tasks.values() {
            let end = self.leased_until(live);
            if end > now {
                next = Some(next.map_or(end, |next| next.min(end)));
            } else if live.stop.fire(Cause::LeaseLost) {
                tracing::error!(
                    task_id = %live.record.id,
                    "the lease was lost; the task is stopped here"
                );
            }
        }
        next
    }

    fn leased_until(&self, live: &Live) -> Instant {
        *live
            .confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            + self.lease.duration
    }

    /// Whether an attempt still owns its task.
    pub(crate) fn standing(&self, id: TaskId, epoch: Epoch) -> Standing {
        let Some(live) = self.get(id).filter(|live| live.record.epoch == epoch) else {
            return Standing::Over;
        };
        if Instant::now() < self.leased_until(&live) {
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
}
