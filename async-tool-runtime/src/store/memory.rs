//! Tasks in memory: for tests, development and servers whose tasks may be lost.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, hash_map};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::stream;
use tokio::sync::broadcast;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

use super::{
    Admission, Beat, Change, Created, Lease, Limit, OpenStore, Reaped, Report, Store, StoreError,
    Want,
};
use crate::engine::Clock;
use crate::task::{
    CancelAck, End, Epoch, Fingerprint, NewTask, Principal, Refused, SessionId, Status, TaskId,
    TaskRecord, Timestamp,
};

/// How many changes a slow reader may lag behind before it has to resync.
const CHANGES: usize = 1024;

/// Keeps tasks in the memory of this process.
///
/// Clones share what they keep, so several servers of one process can act as
/// replicas of each other. When the process ends, everything is gone.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    namespaces: Arc<Mutex<HashMap<String, Arc<Partition>>>>,
    clock: Clock,
    max_records: usize,
}

impl MemoryStore {
    /// How many tasks a namespace keeps, ended ones included, unless said
    /// otherwise.
    pub const DEFAULT_MAX_RECORDS: usize = 250_000;

    /// An empty store.
    pub fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    pub(crate) fn with_clock(clock: Clock) -> Self {
        Self {
            namespaces: Arc::default(),
            clock,
            max_records: Self::DEFAULT_MAX_RECORDS,
        }
    }

    /// Sets how many tasks a namespace keeps, ended ones included. Further
    /// ones are refused until retention has made room. Applies to namespaces
    /// that are opened later.
    #[must_use]
    pub fn max_records(mut self, max_records: usize) -> Self {
        self.max_records = max_records;
        self
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl OpenStore for MemoryStore {
    async fn open(&self, namespace: &str) -> Result<Arc<dyn Store>, StoreError> {
        let mut namespaces = self
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let partition = namespaces.entry(namespace.to_owned()).or_insert_with(|| {
            Arc::new(Partition {
                state: RwLock::default(),
                changes: broadcast::Sender::new(CHANGES),
                clock: self.clock.clone(),
                max_records: self.max_records,
            })
        });
        Ok(Arc::clone(partition) as Arc<dyn Store>)
    }
}

/// One namespace.
#[derive(Debug)]
struct Partition {
    state: RwLock<State>,
    changes: broadcast::Sender<Change>,
    clock: Clock,
    max_records: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Boxed, so that growing the table, which happens under the lock, moves
    /// pointers and not records.
    tasks: HashMap<TaskId, Box<Task>>,
    keys: HashMap<KeyScope, (TaskId, Fingerprint)>,
    /// Queued tasks of each tool, by sequence number.
    queues: HashMap<Arc<str>, BTreeMap<u64, TaskId>>,
    queued: usize,
    /// When queued tasks must have ended, and when terminal ones expire.
    due: BTreeSet<(Timestamp, TaskId)>,
    sessions: HashMap<SessionId, Session>,
    next_sequence: u64,
}

#[derive(Debug)]
struct Task {
    record: TaskRecord,
    /// Its place in the queue, which a release gives back.
    sequence: u64,
    key: Option<Arc<str>>,
}

/// Lifetime of the keys: (principal, tool, key).
#[derive(Debug, PartialEq, Eq, Hash)]
struct KeyScope {
    principal: Option<Principal>,
    tool: Arc<str>,
    key: Arc<str>,
}

/// Exists while it owns tasks.
#[derive(Debug)]
struct Session {
    /// On the monotonic clock: jumps of the wall clock kill nobody.
    alive_until: Instant,
    owned: HashSet<TaskId>,
}

impl Partition {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, change: Change) {
        // Nobody listening is no error.
        let _ = self.changes.send(change);
    }
}

#[async_trait]
impl Store for Partition {
    async fn create(&self, new: NewTask, admission: Admission) -> Result<Created, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let (created, change) = {
            let mut state = self.write();
            state.create(new, admission, now, self.max_records)
        };
        if let Some(change) = change {
            self.announce(change);
        }
        Ok(created)
    }

    async fn claim(
        &self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let claimed = self.write().claim(lease, wants, limit, now);
        for record in &claimed {
            self.announce(Change::Task(record.id));
        }
        Ok(claimed)
    }

    async fn beat(&self, lease: Lease, reports: Vec<Report>) -> Result<Beat, StoreError> {
        consume_budget().await;
        let mut changed = Vec::new();
        let beat = self.write().beat(lease, reports, &mut changed);
        for id in changed {
            self.announce(Change::Task(id));
        }
        Ok(beat)
    }

    async fn finish(
        &self,
        id: TaskId,
        epoch: Epoch,
        end: End,
    ) -> Result<Result<(), Refused>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let finished = self
            .write()
            .change_owned(id, |record| record.finish(epoch, end, now));
        if finished.is_ok() {
            self.announce(Change::Task(id));
        }
        Ok(finished)
    }

    async fn release(&self, id: TaskId, epoch: Epoch) -> Result<Result<(), Refused>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let released = self
            .write()
            .change_owned(id, |record| record.release(epoch, now));
        if released.is_ok() {
            self.announce(Change::Task(id));
            self.announce(Change::Queued);
        }
        Ok(released)
    }

    async fn request_cancel(
        &self,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<Option<CancelAck>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let ack = {
            let mut state = self.write();
            if !state.is_live(id, now) {
                return Ok(None);
            }
            state.change(id, |record| record.request_cancel(&reason, now))
        };
        match ack {
            Some(CancelAck::Requested) => self.announce(Change::Cancel(id)),
            Some(CancelAck::Ended) => self.announce(Change::Task(id)),
            Some(CancelAck::Unchanged) | None => {}
        }
        Ok(ack)
    }

    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let state = self.read();
        Ok(state
            .tasks
            .get(&id)
            .map(|task| &task.record)
            .filter(|record| !is_expired(record, now))
            .cloned())
    }

    async fn reap(&self, limit: usize) -> Result<Reaped, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let reaped = self.write().reap(now, Instant::now(), limit);
        for id in reaped
            .interrupted
            .iter()
            .chain(&reaped.expired)
            .chain(&reaped.purged)
        {
            self.announce(Change::Task(*id));
        }
        Ok(reaped)
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let receiver = self.changes.subscribe();
        Box::pin(stream::unfold(receiver, |mut receiver| async move {
            let change = match receiver.recv().await {
                Ok(change) => change,
                Err(broadcast::error::RecvError::Lagged(_)) => Change::Resync,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((change, receiver))
        }))
    }
}

fn is_expired(record: &TaskRecord, now: Timestamp) -> bool {
    record.expires_at().is_some_and(|expires| expires <= now)
}

impl State {
    fn create(
        &mut self,
        new: NewTask,
        admission: Admission,
        now: Timestamp,
        max_records: usize,
    ) -> (Created, Option<Change>) {
        let scope = new.key.as_ref().map(|key| KeyScope {
            principal: new.principal.clone(),
            tool: Arc::clone(&new.tool),
            key: Arc::clone(&key.key),
        });
        if let (Some(scope), Some(key)) = (&scope, &new.key)
            && let Some(&(id, fingerprint)) = self.keys.get(scope)
        {
            if !self.is_live(id, now) {
                self.remove(id);
            } else if fingerprint != key.fingerprint {
                return (Created::Conflict(id), None);
            } else if let Some(task) = self.tasks.get(&id) {
                return (Created::Existing(task.record.clone()), None);
            }
        }

        if self.tasks.len() >= max_records {
            return (Created::Full(Limit::Records(max_records)), None);
        }
        let waiting = self.queues.get(&new.tool).map_or(0, BTreeMap::len);
        let starts_at_once = admission.claim.is_some() && waiting == 0;
        if !starts_at_once {
            if waiting >= admission.tool_queue {
                return (Created::Full(Limit::ToolQueue(admission.tool_queue)), None);
            }
            if self.queued >= admission.queue {
                return (Created::Full(Limit::Queue(admission.queue)), None);
            }
        }

        // Other tools' tasks may have waited longer for the same slot.
        let claim = admission.claim.filter(|_| self.queued == 0);
        if let (Some(scope), Some(key)) = (scope, &new.key) {
            self.keys.insert(scope, (new.id, key.fingerprint));
        }
        let key = new.key.as_ref().map(|key| Arc::clone(&key.key));
        let mut record = TaskRecord::admit(new, now);
        let id = record.id;
        let change = match claim {
            Some(lease) => {
                record.claim(lease.session, now);
                self.own(lease, id);
                None
            }
            None => Some(Change::Queued),
        };
        let task = Box::new(Task {
            record: record.clone(),
            sequence: self.next_sequence,
            key,
        });
        self.next_sequence += 1;
        self.index(&task);
        self.tasks.insert(id, task);
        (Created::New(record), change)
    }

    fn claim(
        &mut self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
        now: Timestamp,
    ) -> Vec<TaskRecord> {
        let mut rooms: Vec<usize> = wants.iter().map(|want| want.room).collect();
        let mut claimed = Vec::new();
        while claimed.len() < limit {
            let oldest = wants
                .iter()
                .enumerate()
                .filter(|(index, _)| rooms[*index] > 0)
                .filter_map(|(index, want)| {
                    let (sequence, id) = self.queues.get(&want.tool)?.first_key_value()?;
                    Some((*sequence, *id, index))
                })
                .min();
            let Some((_, id, index)) = oldest else { break };
            rooms[index] -= 1;
            let record = self.change(id, |record| {
                record.claim(lease.session, now).then(|| record.clone())
            });
            if let Some(Some(record)) = record {
                self.own(lease, id);
                claimed.push(record);
            }
        }
        claimed
    }

    fn beat(&mut self, lease: Lease, reports: Vec<Report>, changed: &mut Vec<TaskId>) -> Beat {
        let mut beat = Beat::default();
        for report in reports {
            let kept = self.tasks.get_mut(&report.id).is_some_and(|task| {
                let before = task.record.revision;
                let kept = task
                    .record
                    .report(report.epoch, report.progress, report.revision)
                    .is_ok();
                if task.record.revision > before {
                    changed.push(report.id);
                }
                kept
            });
            if !kept {
                beat.fenced.push(report.id);
            }
        }
        if let Some(session) = self.sessions.get_mut(&lease.session) {
            session.alive_until = Instant::now() + lease.duration;
            let owned = session.owned.iter().filter_map(|id| self.tasks.get(id));
            for task in owned {
                let record = &task.record;
                beat.owned.push((record.id, record.epoch));
                if let Some(reason) = &record.cancel {
                    beat.cancelled.push((record.id, Arc::clone(reason)));
                }
            }
        }
        beat
    }

    fn reap(&mut self, now: Timestamp, instant: Instant, limit: usize) -> Reaped {
        let mut reaped = Reaped::default();
        let dead: Vec<TaskId> = self
            .sessions
            .values()
            .filter(|session| session.alive_until <= instant)
            .flat_map(|session| session.owned.iter().copied())
            .take(limit)
            .collect();
        for id in dead {
            self.change(id, |record| record.interrupt(now));
            reaped.interrupted.push(id);
        }

        while reaped.expired.len() < limit && reaped.purged.len() < limit {
            let Some(&(due, id)) = self.due.first() else {
                break;
            };
            if due > now {
                break;
            }
            if self.change(id, |record| record.expire(now)) == Some(true) {
                reaped.expired.push(id);
            } else {
                self.remove(id);
                reaped.purged.push(id);
            }
        }

        let next_due = self.due.first().map(|(due, _)| due.since(now));
        let next_death = self
            .sessions
            .values()
            .map(|session| session.alive_until.saturating_duration_since(instant))
            .min();
        reaped.next = [next_due, next_death]
            .into_iter()
            .flatten()
            .min()
            .map(|next| next.max(Duration::from_millis(1)));
        reaped
    }

    /// Whether a task exists and has not expired.
    fn is_live(&self, id: TaskId, now: Timestamp) -> bool {
        self.tasks
            .get(&id)
            .is_some_and(|task| !is_expired(&task.record, now))
    }

    /// [`change`](Self::change) by the task's worker, for whom a task that is
    /// gone is somebody else's.
    fn change_owned(
        &mut self,
        id: TaskId,
        transition: impl FnOnce(&mut TaskRecord) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        self.change(id, transition).unwrap_or(Err(Refused::Fenced))
    }

    /// Applies a transition and keeps the indexes true.
    fn change<T>(
        &mut self,
        id: TaskId,
        transition: impl FnOnce(&mut TaskRecord) -> T,
    ) -> Option<T> {
        let mut task = self.tasks.remove(&id)?;
        self.unindex(&task);
        let owner = task.record.owner;
        let outcome = transition(&mut task.record);
        if owner != task.record.owner
            && let Some(owner) = owner
        {
            self.disown(owner, id);
        }
        self.index(&task);
        self.tasks.insert(id, task);
        Some(outcome)
    }

    fn remove(&mut self, id: TaskId) {
        let Some(task) = self.tasks.remove(&id) else {
            return;
        };
        self.unindex(&task);
        if let Some(key) = task.key {
            self.keys.remove(&KeyScope {
                principal: task.record.principal,
                tool: task.record.tool,
                key,
            });
        }
    }

    fn index(&mut self, task: &Task) {
        let record = &task.record;
        if record.status == Status::Queued {
            self.queues
                .entry(Arc::clone(&record.tool))
                .or_default()
                .insert(task.sequence, record.id);
            self.queued += 1;
        }
        if let Some(due) = due(record) {
            self.due.insert((due, record.id));
        }
    }

    fn unindex(&mut self, task: &Task) {
        let record = &task.record;
        if record.status == Status::Queued {
            if let Some(queue) = self.queues.get_mut(&record.tool) {
                queue.remove(&task.sequence);
            }
            self.queued -= 1;
        }
        if let Some(due) = due(record) {
            self.due.remove(&(due, record.id));
        }
    }

    fn own(&mut self, lease: Lease, id: TaskId) {
        let alive_until = Instant::now() + lease.duration;
        let session = self
            .sessions
            .entry(lease.session)
            .or_insert_with(|| Session {
                alive_until,
                owned: HashSet::new(),
            });
        session.alive_until = alive_until;
        session.owned.insert(id);
    }

    fn disown(&mut self, session: SessionId, id: TaskId) {
        if let hash_map::Entry::Occupied(mut entry) = self.sessions.entry(session) {
            entry.get_mut().owned.remove(&id);
            if entry.get().owned.is_empty() {
                entry.remove();
            }
        }
    }
}

/// When `reap` has something to do with a record: a deadline in the queue, or
/// the end of retention. A working task's deadline is its worker's to watch.
fn due(record: &TaskRecord) -> Option<Timestamp> {
    match record.status {
        Status::Queued => Some(record.deadline),
        _ => record.expires_at(),
    }
}
