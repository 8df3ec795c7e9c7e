//! Texts on their way to the server and back.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::error::{Done, other};
use crate::progress::ProgressState;
use crate::store::encoding;
use crate::task::{Epoch, NewTask, Release, Retry, SessionId, TaskId, TaskRecord, Timestamp};

/// PostgreSQL keeps no character 0; it becomes `\u{1}0`, and `\u{1}` itself
/// `\u{1}1`.
pub(super) fn kept(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', '\u{1}']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('\u{1}', "\u{1}1").replace('\0', "\u{1}0"))
}

/// What [`kept`] was given.
pub(super) fn read(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1}') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\u{1}0", "\0").replace("\u{1}1", "\u{1}"))
}

/// A digest of several parts: indexes have no room for long texts.
pub(super) fn digest(parts: &[&[u8]]) -> Vec<u8> {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        sha.update(part);
    }
    sha.finalize().to_vec()
}

pub(super) fn json(value: &impl serde::Serialize) -> Done<String> {
    serde_json::to_string(value).map_err(|_| other("something cannot be written as JSON"))
}

/// What the state machine says where the server carries its transitions out.
#[derive(Debug, Clone)]
pub(super) struct Sayings {
    /// By how much the revision grows with a takeover, before the change of
    /// the status.
    pub(super) grows: i64,
    /// The progress of a task that was requeued.
    pub(super) requeued: String,
    /// The outcome of one that was not.
    pub(super) interrupted: String,
    /// The outcome of one whose deadline passed in the queue.
    pub(super) expired: String,
}

impl Sayings {
    /// Asks the state machine, once.
    pub(super) fn get() -> Done<&'static Self> {
        static SAYINGS: OnceLock<Option<Sayings>> = OnceLock::new();
        SAYINGS
            .get_or_init(Self::ask)
            .as_ref()
            .ok_or_else(|| other("the state machine has no words"))
    }

    fn ask() -> Option<Self> {
        let mut requeued = working(2);
        let before = requeued.revision;
        requeued.take_over(Timestamp(0))?;
        let mut interrupted = working(1);
        interrupted.take_over(Timestamp(0))?;
        let mut expired = TaskRecord::admit(example(1), Timestamp(0));
        expired.expire(Timestamp(0)).then_some(())?;
        Some(Self {
            grows: i64::try_from(requeued.revision - before - 1).ok()?,
            requeued: progress(&requeued)?,
            interrupted: outcome(&interrupted)?,
            expired: outcome(&expired)?,
        })
    }
}

/// The progress of a task that was released with this message.
pub(super) fn released(message: &str) -> Done<String> {
    let mut record = working(1);
    let retry = Release::Retry(Retry::new(Duration::ZERO, message, 0));
    let released = record.release(Epoch::default().next(), retry, Timestamp(0));
    released
        .ok()
        .and_then(|()| progress(&record))
        .ok_or_else(|| other("the state machine has no words"))
}

fn example(max_attempts: u32) -> NewTask {
    let mut new = NewTask::new(TaskId::random(), "", "", Duration::ZERO, Duration::ZERO);
    new.max_attempts = max_attempts;
    new
}

fn working(max_attempts: u32) -> TaskRecord {
    let mut record = TaskRecord::admit(example(max_attempts), Timestamp(0));
    record.claim(SessionId::random(), Timestamp(0));
    record
}

fn progress(record: &TaskRecord) -> Option<String> {
    let progress: &ProgressState = record.progress.as_deref()?;
    serde_json::to_string(progress).ok()
}

fn outcome(record: &TaskRecord) -> Option<String> {
    encoding::outcome_text(record.outcome.as_ref()?).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for text in ["", "plain", "\0", "\u{1}", "\u{1}0", "\u{1}1\0\u{1}\u{1}0"] {
            let written = kept(text);
            assert!(!written.contains('\0'));
            assert_eq!(read(&written), text);
        }
        assert_ne!(kept("\0"), kept("\u{1}0"));
    }

    #[test]
    fn the_state_machine_has_words() {
        let sayings = Sayings::get().expect("it has");
        assert_eq!(sayings.grows, 1000);
        assert!(sayings.requeued.contains("started again"));
        assert!(sayings.interrupted.contains("interrupted"));
        assert!(sayings.expired.contains("deadline"));
        assert!(released("soon").expect("it has").contains("soon"));
    }
}
