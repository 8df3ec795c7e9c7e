//! What a store tells about itself to operators.

use std::sync::Arc;
use std::time::Duration;

use crate::task::{SessionId, Timestamp};

/// How much is in a namespace; see [`Store::stats`](super::Store::stats).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Tools of which something is queued, by name.
    pub queues: Vec<QueueStats>,
    /// Tasks that are being worked on, or wait for an answer.
    pub running: usize,
    /// Tasks kept, ended ones included.
    pub records: usize,
    /// Notices that have not been settled, due or not.
    pub notices: usize,
    /// Sessions that own something.
    pub sessions: Vec<SessionStats>,
    /// The store's time.
    pub at: Timestamp,
}

impl Stats {
    /// A namespace without tasks.
    pub fn empty(at: Timestamp) -> Self {
        Self {
            queues: Vec::new(),
            running: 0,
            records: 0,
            notices: 0,
            sessions: Vec::new(),
            at,
        }
    }

    /// How many tasks are queued.
    pub fn queued(&self) -> usize {
        self.queues.iter().map(|queue| queue.queued).sum()
    }

    /// When the oldest queued task was accepted.
    pub fn oldest_queued(&self) -> Option<Timestamp> {
        self.queues.iter().map(|queue| queue.oldest).min()
    }
}

/// The queue of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// The tool's name.
    pub tool: Arc<str>,
    /// How many of its tasks are queued; those in back-off too.
    pub queued: usize,
    /// When the oldest of them was accepted.
    pub oldest: Timestamp,
}

impl QueueStats {
    /// A queue.
    pub fn new(tool: impl Into<Arc<str>>, queued: usize, oldest: Timestamp) -> Self {
        Self {
            tool: tool.into(),
            queued,
            oldest,
        }
    }
}

/// A session that owns something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStats {
    /// The session.
    pub session: SessionId,
    /// How many tasks it owns.
    pub owned: usize,
    /// Changes with each renewal of the lease: one that stays the same for longer
    /// than the lease is dead.
    pub beats: u64,
    /// Its lease.
    pub lease: Duration,
}

impl SessionStats {
    /// A session.
    pub fn new(session: SessionId, owned: usize, beats: u64, lease: Duration) -> Self {
        Self {
            session,
            owned,
            beats,
            lease,
        }
    }
}

/// What [`Store::purge`](super::Store::purge) came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purged {
    /// The task is gone.
    Gone,
    /// It has not ended, and is as it was.
    NotEnded,
    /// Its body goes on, or somebody is yet to be told of its end; it is as it
    /// was.
    InUse,
}

/// What an engine tells about itself, without changing anything; see
/// [`inspect`](super::inspect).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The engine and its version, as in `SQLite 3.51.3`.
    pub engine: String,
    /// The version of the schema that is there; none where nothing has been
    /// written yet, or the engine has no schema.
    pub schema: Option<u32>,
    /// The version that this program would bring it to.
    pub known_schema: Option<u32>,
    /// What weakens what the store promises: one sentence each, which says what
    /// to change.
    pub warnings: Vec<String>,
}

impl Inspection {
    /// Of an engine of which nothing else is known.
    pub fn new(engine: impl Into<String>) -> Self {
        Self {
            engine: engine.into(),
            schema: None,
            known_schema: None,
            warnings: Vec::new(),
        }
    }
}
