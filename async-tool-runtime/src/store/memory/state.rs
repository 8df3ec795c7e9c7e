//! What one namespace keeps, behind one lock: the tasks, and indexes that are
//! always true to them. What is done with it is in [`verbs`].

mod notices;
mod verbs;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque, hash_map};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Cursor, Lease, LogLine, StepRecord, Want};
use crate::task::{
    ConcurrencyLimit, Epoch, Fingerprint, Principal, SessionId, Status, TaskId, TaskRecord,
    Timestamp,
};

#[derive(Debug, Default)]
pub(super) struct State {
    /// Boxed, so that growing the table, which happens under the lock, moves
    /// pointers and not records.
    tasks: HashMap<TaskId, Box<Task>>,
    keys: HashMap<KeyScope, (TaskId, Fingerprint)>,
    /// Tasks that equal calls may join.
    shared: HashMap<ShareScope, TaskId>,
    /// Queued tasks of each tool, by sequence number.
    queues: HashMap<Arc<str>, BTreeMap<u64, TaskId>>,
    queued: usize,
    /// How many tasks hold a concurrency key.
    holders: HashMap<Arc<str>, u32>,
    /// When queued tasks must have ended, and when terminal ones expire.
    due: BTreeSet<(Timestamp, TaskId)>,
    /// When back-offs end.
    waiting: BTreeSet<(Timestamp, TaskId)>,
    /// When notices are due.
    notices: BTreeSet<(Timestamp, TaskId)>,
    /// How many tasks of a principal are queued.
    queued_of: HashMap<Principal, usize>,
    /// In the order of lists.
    listed: BTreeSet<Cursor>,
    sessions: HashMap<SessionId, Session>,
    next_sequence: u64,
}

#[derive(Debug)]
struct Task {
    record: TaskRecord,
    /// Its place in the queue, which a release gives back.
    sequence: u64,
    keys: Vec<Arc<str>>,
    /// What few tasks have.
    extras: Option<Box<Extras>>,
}

#[derive(Debug, Default)]
struct Extras {
    dedupe: Option<Fingerprint>,
    steps: Vec<StepRecord>,
    log: VecDeque<LogLine>,
    /// A result that was put ahead, and by which epoch.
    ahead: Option<(Epoch, Arc<str>)>,
}

impl Task {
    fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    fn append(&mut self, lines: Vec<LogLine>) {
        if lines.is_empty() {
            return;
        }
        let log = &mut self.extras().log;
        for line in lines {
            if log.back().is_none_or(|last| last.number < line.number) {
                log.push_back(line);
            }
        }
        let surplus = log.len().saturating_sub(LogLine::KEPT);
        log.drain(..surplus);
    }
}

/// Lifetime of the keys: (principal, tool, key).
#[derive(Debug, PartialEq, Eq, Hash)]
struct KeyScope {
    principal: Option<Principal>,
    tool: Arc<str>,
    key: Arc<str>,
}

/// Who shares a task: (principal, tool, fingerprint).
#[derive(Debug, PartialEq, Eq, Hash)]
struct ShareScope {
    principal: Option<Principal>,
    tool: Arc<str>,
    fingerprint: Fingerprint,
}

/// Exists while it owns tasks.
#[derive(Debug)]
struct Session {
    /// On the monotonic clock: jumps of the wall clock kill nobody.
    alive_until: Instant,
    lease: Duration,
    beats: u64,
    owned: HashSet<TaskId>,
}

impl Session {
    fn renew(&mut self, lease: Duration) {
        self.alive_until = Instant::now() + lease;
        self.lease = lease;
        self.beats += 1;
    }
}

impl State {
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The oldest task of a tool that could be claimed, from a place in its
    /// queue on.
    fn oldest_ready(&self, want: &Want, from: u64, now: Timestamp) -> Option<(u64, TaskId)> {
        self.queues
            .get(&want.tool)?
            .range(from..)
            .map(|(sequence, id)| (*sequence, *id))
            .find(|(_, id)| self.is_ready(*id, now))
    }

    /// Whether a task exists and has not expired.
    fn is_live(&self, id: TaskId, now: Timestamp) -> bool {
        self.tasks
            .get(&id)
            .is_some_and(|task| !is_expired(&task.record, now))
    }

    fn is_ready(&self, id: TaskId, now: Timestamp) -> bool {
        self.tasks.get(&id).is_some_and(|task| {
            task.record.is_ready(now) && self.has_room(&task.record.concurrency)
        })
    }

    fn is_any_ready(&self, now: Timestamp) -> bool {
        self.queues
            .values()
            .flat_map(BTreeMap::values)
            .any(|id| self.is_ready(*id, now))
    }

    fn has_room(&self, concurrency: &[ConcurrencyLimit]) -> bool {
        concurrency.iter().all(|concurrency| {
            self.holders
                .get(&concurrency.key)
                .is_none_or(|holders| *holders < concurrency.limit)
        })
    }

    /// Whether the end of an ownership of this task may let another one start.
    pub(super) fn frees_a_key(&self, id: TaskId) -> bool {
        self.tasks
            .get(&id)
            .is_some_and(|task| !task.record.concurrency.is_empty() && task.record.owner.is_none())
    }

    /// Applies a transition and keeps the indexes true.
    fn change<T>(&mut self, id: TaskId, transition: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let mut task = self.tasks.remove(&id)?;
        self.unindex(&task);
        let owner = task.record.owner;
        let outcome = transition(&mut task);
        if owner != task.record.owner
            && let Some(owner) = owner
        {
            self.disown(owner, id);
        }
        if task.record.status.is_terminal()
            && let Some(extras) = &mut task.extras
        {
            // Nobody runs it again.
            extras.steps = Vec::new();
            extras.ahead = None;
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
        self.listed.remove(&Cursor::of(&task.record));
        if let Some(owner) = task.record.owner {
            self.disown(owner, id);
        }
        for key in task.keys {
            self.keys.remove(&KeyScope {
                principal: task.record.principal.clone(),
                tool: Arc::clone(&task.record.tool),
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
            if let Some(principal) = &record.principal {
                *self.queued_of.entry(principal.clone()).or_default() += 1;
            }
            if let Some(moment) = record.not_before {
                self.waiting.insert((moment, record.id));
            }
        }
        if let Some(due) = due(record) {
            self.due.insert((due, record.id));
        }
        if let Some(due) = notice_due(record) {
            self.notices.insert((due, record.id));
        }
        for concurrency in held(record) {
            *self
                .holders
                .entry(Arc::clone(&concurrency.key))
                .or_default() += 1;
        }
        if let Some(scope) = shareable(task) {
            self.shared.insert(scope, record.id);
        }
    }

    fn unindex(&mut self, task: &Task) {
        let record = &task.record;
        if record.status == Status::Queued {
            if let Some(queue) = self.queues.get_mut(&record.tool) {
                queue.remove(&task.sequence);
            }
            self.queued -= 1;
            if let Some(principal) = &record.principal
                && let hash_map::Entry::Occupied(mut queued) =
                    self.queued_of.entry(principal.clone())
            {
                *queued.get_mut() -= 1;
                if *queued.get() == 0 {
                    queued.remove();
                }
            }
            if let Some(moment) = record.not_before {
                self.waiting.remove(&(moment, record.id));
            }
        }
        if let Some(due) = due(record) {
            self.due.remove(&(due, record.id));
        }
        if let Some(due) = notice_due(record) {
            self.notices.remove(&(due, record.id));
        }
        for concurrency in held(record) {
            let holders = self.holders.entry(Arc::clone(&concurrency.key));
            if let hash_map::Entry::Occupied(mut holders) = holders {
                *holders.get_mut() -= 1;
                if *holders.get() == 0 {
                    holders.remove();
                }
            }
        }
        if let Some(scope) = shareable(task)
            && self.shared.get(&scope) == Some(&record.id)
        {
            self.shared.remove(&scope);
        }
    }

    fn own(&mut self, lease: Lease, id: TaskId) {
        let session = self
            .sessions
            .entry(lease.session)
            .or_insert_with(|| Session {
                alive_until: Instant::now(),
                lease: lease.duration,
                beats: 0,
                owned: HashSet::new(),
            });
        session.renew(lease.duration);
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

/// The keys that a task holds now.
fn held(record: &TaskRecord) -> &[ConcurrencyLimit] {
    match record.owner {
        Some(_) => &record.concurrency,
        None => &[],
    }
}

fn is_expired(record: &TaskRecord, now: Timestamp) -> bool {
    record.expires_at().is_some_and(|expires| expires <= now)
}

fn share_scope(
    principal: &Option<Principal>,
    tool: &Arc<str>,
    fingerprint: Fingerprint,
) -> ShareScope {
    ShareScope {
        principal: principal.clone(),
        tool: Arc::clone(tool),
        fingerprint,
    }
}

fn notice_due(record: &TaskRecord) -> Option<Timestamp> {
    record.notice.as_ref()?.due
}

/// Where equal calls find a task that they may join.
fn shareable(task: &Task) -> Option<ShareScope> {
    let record = &task.record;
    let fingerprint = task.extras.as_ref()?.dedupe?;
    (!record.status.is_terminal() && record.cancel.is_none())
        .then(|| share_scope(&record.principal, &record.tool, fingerprint))
}

/// When `reap` has something to do with a record: a deadline in the queue, or
/// the end of retention. A working task's deadline is its worker's to watch.
fn due(record: &TaskRecord) -> Option<Timestamp> {
    match record.status {
        Status::Queued => Some(record.deadline),
        _ => record.expires_at(),
    }
}
