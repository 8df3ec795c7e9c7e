//! Where tasks are kept.
//!
//! A store decides nothing: it carries out the transitions of
//! [`TaskRecord`], each as one atomic step, and compares epochs
//! (invariants 5 and 10). Application code picks a store for the builder;
//! only authors of stores need the rest of this module.
//!
//! The trait may still change while further stores are written against it.

mod memory;
#[cfg(test)]
mod memory_tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

pub use crate::progress::ProgressState;
pub use crate::task::{
    CancelAck, End, Epoch, Fingerprint, NewTask, Outcome, Principal, Refused, SessionId, Status,
    TaskFailure, TaskId, TaskKey, TaskRecord, Timestamp,
};
pub use memory::MemoryStore;

/// Opens the part of an engine that the workers of one namespace share.
#[async_trait]
pub trait OpenStore: Send + Sync + 'static {
    /// Opens a namespace; it begins to exist with its first task.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the engine cannot be reached or is unfit for use.
    async fn open(&self, namespace: &str) -> Result<Arc<dyn Store>, StoreError>;
}

/// The tasks of one namespace.
///
/// Every verb is one atomic step; of several callers that race, each sees the
/// store before or after the others and never between. Times are the store's
/// clock. Nothing here is cancelled half-way: the engine runs each call in a
/// spawned task of its own.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Accepts a task, or finds the one that its idempotency key names.
    ///
    /// The key is looked up first, whatever the limits are. A key that exists
    /// with the same fingerprint gives [`Created::Existing`], with another one
    /// [`Created::Conflict`]. A key lives as long as its record.
    ///
    /// Otherwise the task is admitted; if `admission` names a session and
    /// nothing is queued, that session claims it in the same step, and opens
    /// or renews its lease. The limits of the queue are for tasks that have to
    /// wait: unless `admission` names a session and no task of the same tool
    /// is queued, and the tool's queue or the whole queue is at its limit,
    /// nothing is stored and the answer is [`Created::Full`].
    ///
    /// The record is durable before the answer.
    async fn create(&self, new: NewTask, admission: Admission) -> Result<Created, StoreError>;

    /// Claims up to `limit` queued tasks for a session, the oldest first, and
    /// of each tool no more than its `want`; opens the session or renews its
    /// lease if there was anything to claim.
    async fn claim(
        &self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError>;

    /// Renews a session's lease and keeps the progress of its tasks. A report
    /// with an old epoch is dropped and its task returned as fenced. The
    /// answer lists what the session owns, so that a worker which has missed
    /// the answer to a claim finds out.
    async fn beat(&self, lease: Lease, reports: Vec<Report>) -> Result<Beat, StoreError>;

    /// Ends a task that its worker executed. The first terminal write wins.
    /// The record is durable before the answer.
    async fn finish(
        &self,
        id: TaskId,
        epoch: Epoch,
        end: End,
    ) -> Result<Result<(), Refused>, StoreError>;

    /// Puts a claimed task whose attempt has not begun back into the queue,
    /// at its old place.
    async fn release(&self, id: TaskId, epoch: Epoch) -> Result<Result<(), Refused>, StoreError>;

    /// Asks a task to stop; ends it if it is queued. `None`: no such task.
    async fn request_cancel(
        &self,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<Option<CancelAck>, StoreError>;

    /// Reads a task. One whose retention is over is not found, purged or not.
    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError>;

    /// Cleans up, at most `limit` tasks of each kind: interrupts those of dead
    /// sessions, ends queued ones whose deadline has passed, purges terminal
    /// ones whose retention is over.
    async fn reap(&self, limit: usize) -> Result<Reaped, StoreError>;

    /// Changes by anybody, from now on. Lossy: after a gap there is a
    /// [`Change::Resync`], and readers poll slowly besides.
    fn changes(&self) -> BoxStream<'static, Change>;
}

/// A session and how long its lease lasts from each renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The session.
    pub session: SessionId,
    /// How long it is taken for alive without a renewal.
    pub duration: Duration,
}

impl Lease {
    /// A lease.
    pub fn new(session: SessionId, duration: Duration) -> Self {
        Self { session, duration }
    }
}

/// Under which conditions [`Store::create`] accepts a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admission {
    /// How many tasks of the tool may be queued.
    pub tool_queue: usize,
    /// How many tasks may be queued in all.
    pub queue: usize,
    /// The session that has a slot for the task at once.
    pub claim: Option<Lease>,
}

impl Admission {
    /// Conditions without a claim.
    pub fn new(tool_queue: usize, queue: usize) -> Self {
        Self {
            tool_queue,
            queue,
            claim: None,
        }
    }
}

/// What [`Store::create`] came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Created {
    /// The task is new; working if it was claimed, queued otherwise.
    New(TaskRecord),
    /// The key named this task.
    Existing(TaskRecord),
    /// The key named this task, whose arguments were different.
    Conflict(TaskId),
    /// A limit was reached.
    Full(Limit),
}

/// A limit that refuses tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Queued tasks of one tool.
    ToolQueue(usize),
    /// Queued tasks in all.
    Queue(usize),
    /// Tasks kept, ended ones included.
    Records(usize),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToolQueue(limit) => write!(f, "{limit} tasks of this tool are waiting already"),
            Self::Queue(limit) => write!(f, "{limit} tasks are waiting already"),
            Self::Records(limit) => write!(f, "the store keeps {limit} tasks already"),
        }
    }
}

/// How many tasks of a tool a worker has room for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Want {
    /// The tool's name.
    pub tool: Arc<str>,
    /// The most that may be claimed.
    pub room: usize,
}

impl Want {
    /// Room for this many tasks of a tool.
    pub fn new(tool: Arc<str>, room: usize) -> Self {
        Self { tool, room }
    }
}

/// The progress of a task since the last beat.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The task.
    pub id: TaskId,
    /// The epoch of its claim.
    pub epoch: Epoch,
    /// What it reported last.
    pub progress: Arc<ProgressState>,
    /// The revision that goes with it.
    pub revision: u64,
}

impl Report {
    /// A report.
    pub fn new(id: TaskId, epoch: Epoch, progress: ProgressState, revision: u64) -> Self {
        Self {
            id,
            epoch,
            progress: Arc::new(progress),
            revision,
        }
    }
}

/// What a beat brings back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Beat {
    /// Tasks of the session that somebody asked to stop, with the reasons.
    pub cancelled: Vec<(TaskId, Arc<str>)>,
    /// Tasks among the reports that the session does not own any more.
    pub fenced: Vec<TaskId>,
    /// All tasks of the session, with the epochs of their claims.
    pub owned: Vec<(TaskId, Epoch)>,
}

/// What was cleaned up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reaped {
    /// Ended because their worker was dead.
    pub interrupted: Vec<TaskId>,
    /// Ended because their deadline had passed in the queue.
    pub expired: Vec<TaskId>,
    /// Deleted.
    pub purged: Vec<TaskId>,
    /// How long until there may be something to do, as far as is known now.
    pub next: Option<Duration>,
}

/// Something that happened in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A task's revision grew, or it is gone. Not when it is created: nobody
    /// waits for a task whose id has not been told.
    Task(TaskId),
    /// A task that is being worked on was asked to stop.
    Cancel(TaskId),
    /// A task was queued.
    Queued,
    /// Changes may have been missed.
    Resync,
}

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    message: String,
    #[source]
    source: Option<crate::BoxError>,
}

impl StoreError {
    /// An error that says what failed.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// Adds the engine's own error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<crate::BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }
}
