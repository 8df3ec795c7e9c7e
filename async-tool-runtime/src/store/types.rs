//! What goes in and out of a [`Store`](super::Store).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::progress::ProgressState;
use crate::task::{Epoch, Principal, SessionId, Status, TaskId, TaskRecord, Timestamp};

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

/// Under which conditions [`Store::create`](super::Store::create) accepts a
/// task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admission {
    /// How many tasks of the tool may be queued.
    pub tool_queue: usize,
    /// How many tasks may be queued in all.
    pub queue: usize,
    /// How many tasks of the task's principal may be queued; none: as many as
    /// the others allow.
    pub principal_queue: Option<usize>,
    /// The session that has a slot for the task at once.
    pub claim: Option<Lease>,
}

impl Admission {
    /// Conditions without a claim.
    pub fn new(tool_queue: usize, queue: usize) -> Self {
        Self {
            tool_queue,
            queue,
            principal_queue: None,
            claim: None,
        }
    }

    /// Lets this session claim the task in the same step.
    #[must_use]
    pub fn claimed_by(mut self, lease: Lease) -> Self {
        self.claim = Some(lease);
        self
    }
}

/// What [`Store::create`](super::Store::create) came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Created {
    /// The task is new; working if it was claimed, queued otherwise.
    New(TaskRecord),
    /// The key named this task, or it is the equal one that was joined.
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
    /// Queued tasks of one principal.
    PrincipalQueue(usize),
    /// Tasks kept, ended ones included.
    Records(usize),
    /// Idempotency keys of one shared task.
    Keys(usize),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ToolQueue(limit) => write!(f, "{limit} tasks of this tool are waiting already"),
            Self::Queue(limit) => write!(f, "{limit} tasks are waiting already"),
            Self::PrincipalQueue(limit) => write!(f, "{limit} of your tasks are waiting already"),
            Self::Records(limit) => write!(f, "the store keeps {limit} tasks already"),
            Self::Keys(limit) => write!(
                f,
                "{limit} idempotency keys share the task of these arguments already"
            ),
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

/// What an attempt has to say since the last beat.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The task.
    pub id: TaskId,
    /// The epoch of its claim.
    pub epoch: Epoch,
    /// Counts the reports of one epoch, from 1: a late one changes nothing.
    pub number: u64,
    /// How far it is.
    pub progress: Arc<ProgressState>,
    /// The revision that goes with it.
    pub revision: u64,
    /// Lines for the task's log.
    pub log: Vec<LogLine>,
    /// What becomes of [`TaskRecord::history`]; none: it stays as it is.
    pub history: Option<Arc<str>>,
}

impl Report {
    /// A report without log lines.
    pub fn new(
        id: TaskId,
        epoch: Epoch,
        number: u64,
        progress: ProgressState,
        revision: u64,
    ) -> Self {
        Self {
            id,
            epoch,
            number,
            progress: Arc::new(progress),
            revision,
            log: Vec::new(),
            history: None,
        }
    }
}

/// What a beat brings back: everything that the session owns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Beat {
    /// The session's tasks.
    pub owned: Vec<Owned>,
}

impl Beat {
    /// The answer to a beat of a session that owns this.
    pub fn new(owned: Vec<Owned>) -> Self {
        Self { owned }
    }
}

/// A task of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Owned {
    /// The task.
    pub id: TaskId,
    /// The epoch of its claim.
    pub epoch: Epoch,
    /// Somebody asked it to stop; the reason, possibly empty.
    pub cancel: Option<Arc<str>>,
    /// It has ended, and its body goes on; see
    /// [`End::lingers`](super::End::lingers).
    pub lingers: bool,
}

impl Owned {
    /// What a beat says of this record.
    pub fn of(record: &TaskRecord) -> Self {
        Self {
            id: record.id,
            epoch: record.epoch,
            cancel: record.cancel.clone(),
            lingers: record.status.is_terminal(),
        }
    }
}

/// A line of a task's log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// Its place in the task's log, over all attempts; a number that is there
    /// already is the same line.
    pub number: u64,
    /// When it was written, on the worker's clock.
    pub at: Timestamp,
    /// The text, one line.
    pub text: Arc<str>,
}

impl LogLine {
    /// How many lines of a task are kept: the last ones.
    pub const KEPT: usize = 50;

    /// A line.
    pub fn new(number: u64, at: Timestamp, text: impl Into<Arc<str>>) -> Self {
        Self {
            number,
            at,
            text: text.into(),
        }
    }
}

/// A recorded step of a task.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepRecord {
    /// The step's name, unique in its task.
    pub name: Arc<str>,
    /// Its result, as JSON text.
    pub result: Arc<str>,
}

impl StepRecord {
    /// A step and its result.
    pub fn new(name: impl Into<Arc<str>>, result: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            result: result.into(),
        }
    }
}

impl StepRecord {
    /// What the names of steps begin with that are answers to questions; no
    /// other step's does.
    pub const ANSWER: &'static str = "input:";

    /// The answer to a question.
    pub fn answer(key: &str, answer: impl Into<Arc<str>>) -> Self {
        Self::new(format!("{}{key}", Self::ANSWER), answer)
    }
}

/// What [`Store::answer`](super::Store::answer) came to.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answered {
    /// The answer is recorded.
    Recorded,
    /// There was an answer before: this one, as JSON text.
    Before(Arc<str>),
    /// No such question is open.
    NotAsked,
    /// The task has ended.
    Ended,
}

/// Answers may be secret.
impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recorded => "Recorded",
            Self::Before(_) => "Before",
            Self::NotAsked => "NotAsked",
            Self::Ended => "Ended",
        })
    }
}

/// Results may be secret.
impl fmt::Debug for StepRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepRecord")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Which tasks [`Store::list`](super::Store::list) lists.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Whose.
    pub owner: Owner,
    /// Of this tool alone.
    pub tool: Option<Arc<str>>,
    /// In this status alone.
    pub status: Option<Status>,
}

impl Filter {
    /// All tasks of an owner.
    pub fn of(owner: Owner) -> Self {
        Self {
            owner,
            tool: None,
            status: None,
        }
    }

    /// Whether this lists a record.
    pub fn admits(&self, record: &TaskRecord) -> bool {
        let owner = match &self.owner {
            Owner::Anybody => true,
            Owner::Nobody => record.principal.is_none(),
            Owner::Principal(principal) => record.principal.as_ref() == Some(principal),
        };
        owner
            && self.tool.as_ref().is_none_or(|tool| *tool == record.tool)
            && self.status.is_none_or(|status| status == record.status)
    }
}

/// Whose tasks to list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a task has a principal or none; there is no fourth case"
)]
pub enum Owner {
    /// All tasks, for operators.
    Anybody,
    /// Tasks that no principal owns.
    Nobody,
    /// Those of this principal.
    Principal(Principal),
}

/// A place in a list, newest first: lists go on after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Cursor {
    /// When the task was accepted.
    pub created_at: Timestamp,
    /// The task, for those of the same moment.
    pub id: TaskId,
}

impl Cursor {
    /// The place of a task.
    pub fn new(created_at: Timestamp, id: TaskId) -> Self {
        Self { created_at, id }
    }

    /// The place of a record.
    pub fn of(record: &TaskRecord) -> Self {
        Self::new(record.created_at, record.id)
    }
}

/// What was cleaned up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reaped {
    /// Queued again because their worker was dead.
    pub requeued: Vec<TaskId>,
    /// Ended because their worker was dead.
    pub interrupted: Vec<TaskId>,
    /// Ended because their deadline had passed in the queue.
    pub expired: Vec<TaskId>,
    /// Deleted.
    pub purged: Vec<TaskId>,
    /// Something is queued that could be claimed now.
    pub ready: bool,
    /// Notices are due.
    pub notices: bool,
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
    /// A task was queued, or what kept one from being claimed is over.
    Queued,
    /// Changes may have been missed.
    Resync,
}
