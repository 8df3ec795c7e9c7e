//! What is kept of a task.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Epoch, Fingerprint, Notice, Origin, Principal, SessionId, Status, TaskId};
use crate::progress::ProgressState;
use crate::store::LogLine;

/// A moment on the store's wall clock, in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This moment and a while, at millisecond precision.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(
            time.duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, millis),
        )
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        Self::UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

/// RFC 3339 in UTC, to the millisecond; what is later than that can express is
/// shown as its last moment.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const END_OF_9999: Timestamp = Timestamp(253_402_300_799_999);
        humantime::format_rfc3339_millis((*self).min(END_OF_9999).into()).fmt(f)
    }
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An accepted call, as it is handed to the store.
#[derive(Clone)]
#[non_exhaustive]
pub struct NewTask {
    /// The id that the task will have.
    pub id: TaskId,
    /// The tool's name.
    pub tool: Arc<str>,
    /// On whose behalf.
    pub principal: Option<Principal>,
    /// The arguments, as JSON text.
    pub arguments: Arc<str>,
    /// The caller's idempotency key.
    pub key: Option<TaskKey>,
    /// Calls of this fingerprint share one task, as long as it has not ended.
    pub dedupe: Option<Fingerprint>,
    /// With whom it must not run at once: it holds all of these keys, or none.
    pub concurrency: Arc<[ConcurrencyLimit]>,
    /// See [`TaskRecord::max_attempts`].
    pub max_attempts: u32,
    /// The deadline, counted from creation.
    pub max_wait: Duration,
    /// How long the record stays readable after the end.
    pub retention: Duration,
    /// What is kept of the call that makes it.
    pub origin: Option<Arc<Origin>>,
    /// Whether its end and its questions are to be told: then it has a
    /// [`TaskRecord::notice`].
    pub notify: bool,
}

impl NewTask {
    /// A call without any of the options.
    pub fn new(
        id: TaskId,
        tool: impl Into<Arc<str>>,
        arguments: impl Into<Arc<str>>,
        max_wait: Duration,
        retention: Duration,
    ) -> Self {
        Self {
            id,
            tool: tool.into(),
            principal: None,
            arguments: arguments.into(),
            key: None,
            dedupe: None,
            concurrency: Arc::default(),
            max_attempts: 1,
            max_wait,
            retention,
            origin: None,
            notify: false,
        }
    }
}

/// An idempotency key. It is scoped by namespace, principal and tool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskKey {
    /// The caller's key.
    pub key: Arc<str>,
    /// What the arguments were.
    pub fingerprint: Fingerprint,
}

impl TaskKey {
    /// A key for a call of this fingerprint.
    pub fn new(key: impl Into<Arc<str>>, fingerprint: Fingerprint) -> Self {
        Self {
            key: key.into(),
            fingerprint,
        }
    }
}

/// A key that at most so many tasks of a namespace hold at once. A task holds
/// it while somebody owns it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ConcurrencyLimit {
    /// The key.
    pub key: Arc<str>,
    /// How many tasks may hold it when this one is claimed, this one included.
    pub limit: u32,
}

impl ConcurrencyLimit {
    /// A key and its limit.
    pub fn new(key: impl Into<Arc<str>>, limit: u32) -> Self {
        Self {
            key: key.into(),
            limit,
        }
    }
}

/// Everything that is kept of one task, but its keys, steps and log.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskRecord {
    /// The task's id.
    pub id: TaskId,
    /// The tool's name.
    pub tool: Arc<str>,
    /// Who owns it.
    pub principal: Option<Principal>,
    /// The arguments, as JSON text; empty once the task has ended, and where
    /// nobody needs them.
    pub arguments: Arc<str>,
    /// Where it stands.
    pub status: Status,
    /// How often it has been started.
    pub attempt: u32,
    /// An interrupted task is started again as long as it has been started
    /// fewer times than this; with 1 it never is.
    pub max_attempts: u32,
    /// With whom it must not run at once: it holds all of these keys, or none.
    pub concurrency: Arc<[ConcurrencyLimit]>,
    /// Its fence.
    pub epoch: Epoch,
    /// Whose it is while it is being worked on, or while the body of an ended
    /// task goes on.
    pub owner: Option<SessionId>,
    /// Grows with each change of status or step and with a cancel request.
    pub revision: u64,
    /// Number of the last report of its present epoch.
    pub report: u64,
    /// It is in back-off until then.
    pub not_before: Option<Timestamp>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its last attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When it must have ended.
    pub deadline: Timestamp,
    /// How long it stays readable after its end.
    pub retention: Duration,
    /// Somebody asked it to stop; the reason, possibly empty.
    pub cancel: Option<Arc<str>>,
    /// What its present attempt reported last.
    pub progress: Option<Arc<ProgressState>>,
    /// What its attempts did and when, as JSON text of the workers that executed
    /// them, which [`History::of`](super::History::of) reads; none as long as
    /// there was one attempt without steps.
    pub history: Option<Arc<str>>,
    /// What is kept of the call that made it.
    pub origin: Option<Arc<Origin>>,
    /// What is to be told of it to somebody outside; none if nobody asked.
    pub notice: Option<Notice>,
    /// What its attempts asked; none once the task has ended.
    pub input: Option<Arc<Input>>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// What a task asked its caller, and has no answer to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Input {
    /// The questions, in the order in which they were asked. Those of an
    /// earlier attempt can be answered too; the present one waits for its own.
    pub questions: Vec<Question>,
    /// When a question that a client could see was last asked or answered.
    pub at: Timestamp,
}

impl Input {
    /// How many questions a task keeps; of earlier attempts the last ones.
    pub const KEPT: usize = 64;

    /// Questions, the last of which was asked or answered at this moment.
    pub fn new(questions: Vec<Question>, at: Timestamp) -> Self {
        Self { questions, at }
    }
}

/// A question of a task to its caller.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Question {
    /// Names it, and no other question of the task, ever.
    pub key: Arc<str>,
    /// The question, for people and models to read.
    pub message: Arc<str>,
    /// The JSON schema of an answer, as JSON text.
    pub schema: Arc<str>,
    /// Which attempt asked.
    pub epoch: Epoch,
}

impl Question {
    /// A question.
    pub fn new(
        key: impl Into<Arc<str>>,
        message: impl Into<Arc<str>>,
        schema: impl Into<Arc<str>>,
        epoch: Epoch,
    ) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
            schema: schema.into(),
            epoch,
        }
    }
}

/// How a task ended.
#[derive(Clone, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "one for each terminal status, of which there are three"
)]
pub enum Outcome {
    /// With a result, as JSON text.
    Completed(Arc<str>),
    /// With an error.
    Failed(Box<TaskFailure>),
    /// On request; the reason, possibly empty.
    Cancelled(Arc<str>),
}

impl Outcome {
    /// The status that goes with it.
    pub fn status(&self) -> Status {
        match self {
            Self::Completed(_) => Status::Completed,
            Self::Failed(_) => Status::Failed,
            Self::Cancelled(_) => Status::Cancelled,
        }
    }
}

/// The error of a failed task.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskFailure {
    /// What kind of failure; stable.
    pub code: Cow<'static, str>,
    /// What happened, for people and models to read.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// More, for programs to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// It is an error of the protocol, of this JSON-RPC code, to those who
    /// called the tool as a task of the protocol's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_code: Option<i32>,
}

impl TaskFailure {
    /// A failure that is not retryable and has no details.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            retryable: false,
            details: None,
            protocol_code: None,
        }
    }

    /// The task did not end in time; `clock` says which clock ran out.
    pub(crate) fn timed_out(clock: &str, message: impl Into<String>) -> Self {
        Self {
            details: Some(serde_json::json!({ "clock": clock })),
            ..Self::new("timed_out", message)
        }
    }

    /// Its worker died or shut down.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self {
            retryable: true,
            ..Self::new("interrupted", message)
        }
    }
}

/// The end that a worker reports for a task.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct End {
    /// How it ended.
    pub outcome: Outcome,
    /// The revision that the worker has shown last; the record's becomes
    /// greater.
    pub revision: u64,
    /// The outcome's result is empty here: it was put ahead.
    pub ahead: bool,
    /// The task's body cannot be stopped and goes on. The task stays its
    /// session's, and keeps its concurrency key, until it is released.
    pub lingers: bool,
    /// The last lines of its log.
    pub log: Vec<LogLine>,
    /// What becomes of [`TaskRecord::history`]; none: it stays as it is.
    pub history: Option<Arc<str>>,
}

impl End {
    /// An end.
    pub fn new(outcome: Outcome, revision: u64) -> Self {
        Self {
            outcome,
            revision,
            ahead: false,
            lingers: false,
            log: Vec::new(),
            history: None,
        }
    }

    /// Completed, with the result that was put ahead.
    pub fn ahead(revision: u64) -> Self {
        Self {
            ahead: true,
            ..Self::new(Outcome::Completed(Arc::default()), revision)
        }
    }

    /// Says that the body goes on.
    #[must_use]
    pub fn lingering(mut self) -> Self {
        self.lingers = true;
        self
    }

    /// Adds the last lines of the log.
    #[must_use]
    pub fn with_log(mut self, log: Vec<LogLine>) -> Self {
        self.log = log;
        self
    }
}

/// How a session gives up what it owns of a task.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Release {
    /// The attempt has not begun.
    NotStarted,
    /// The attempt has ended, and another one is to follow.
    Retry(Retry),
    /// The body of an ended task has stopped at last.
    Stopped,
}

/// How a task goes on after an attempt that gave no outcome.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Retry {
    /// How long the next attempt waits.
    pub after: Duration,
    /// What clients read meanwhile.
    pub message: String,
    /// The revision that the worker has shown last.
    pub revision: u64,
    /// The last lines of its log.
    pub log: Vec<LogLine>,
    /// What becomes of [`TaskRecord::history`]; none: it stays as it is.
    pub history: Option<Arc<str>>,
}

impl Retry {
    /// The next attempt after a while.
    pub fn new(after: Duration, message: impl Into<String>, revision: u64) -> Self {
        Self {
            after,
            message: message.into(),
            revision,
            log: Vec::new(),
            history: None,
        }
    }

    /// Adds the last lines of the log.
    #[must_use]
    pub fn with_log(mut self, log: Vec<LogLine>) -> Self {
        self.log = log;
        self
    }
}

// Arguments, results and details may be secret: `Debug` leaves them out.

impl fmt::Debug for NewTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewTask")
            .field("id", &self.id)
            .field("tool", &self.tool)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TaskRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRecord")
            .field("id", &self.id)
            .field("tool", &self.tool)
            .field("status", &self.status)
            .field("attempt", &self.attempt)
            .field("epoch", &self.epoch)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// What is asked may be secret as well.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("key", &self.key)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed(_) => f.write_str("Completed"),
            Self::Failed(failure) => f.debug_tuple("Failed").field(failure).finish(),
            Self::Cancelled(_) => f.write_str("Cancelled"),
        }
    }
}

impl fmt::Debug for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskFailure")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}
