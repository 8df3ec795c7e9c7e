//! What the state machine says of a task, for scripts that cannot ask it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::error::not_json;
use crate::store::{StoreError, encoding};
use crate::task::{NewTask, Outcome, Release, Retry, SessionId, TaskId, TaskRecord, Timestamp};

/// What `reap` writes.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    /// How much a takeover adds to the revision, besides its change of status.
    pub(super) unstored: u64,
    /// The outcome of a task whose worker died.
    pub(super) interrupted: String,
    /// The outcome of a task whose deadline passed in the queue.
    pub(super) late: String,
    /// The progress of a task whose worker died and that runs again.
    pub(super) again: String,
}

/// The same for all tasks, so it is asked of one that is nobody's.
pub(super) fn of_reap() -> Option<&'static Texts> {
    static TEXTS: LazyLock<Option<Texts>> = LazyLock::new(ask);
    TEXTS.as_ref()
}

const NOW: Timestamp = Timestamp(0);

fn ask() -> Option<Texts> {
    let mut late = queued(1);
    late.expire(NOW);
    let mut interrupted = working(1);
    interrupted.take_over(NOW);
    let mut again = working(2);
    let before = again.revision;
    again.take_over(NOW);
    Some(Texts {
        unstored: again.revision - before - 1,
        interrupted: outcome(&interrupted)?,
        late: outcome(&late)?,
        again: progress(&again)?,
    })
}

/// The progress of a task that waits for its next attempt.
pub(super) fn of_retry(retry: &Retry) -> Result<String, StoreError> {
    let mut record = working(2);
    let epoch = record.epoch;
    let retry = Retry::new(Duration::ZERO, retry.message.clone(), 0);
    // It is not refused: the epoch is the record's own.
    let _ = record.release(epoch, Release::Retry(retry), NOW);
    serde_json::to_string(&record.progress).map_err(not_json)
}

fn queued(max_attempts: u32) -> TaskRecord {
    let id = TaskId::from_bytes([0; 16]);
    let mut new = NewTask::new(id, "", "", Duration::ZERO, Duration::ZERO);
    new.max_attempts = max_attempts;
    TaskRecord::admit(new, NOW)
}

fn working(max_attempts: u32) -> TaskRecord {
    let mut record = queued(max_attempts);
    record.claim(SessionId::from_bytes([0; 16]), NOW);
    record
}

fn outcome(record: &TaskRecord) -> Option<String> {
    let outcome: &Outcome = record.outcome.as_ref()?;
    encoding::outcome_text(outcome).ok()?
}

fn progress(record: &TaskRecord) -> Option<String> {
    serde_json::to_string(record.progress.as_ref().map(Arc::as_ref)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_those_of_the_state_machine() {
        let texts = of_reap().expect("they can be written");
        assert!(texts.interrupted.contains("\"interrupted\""), "{texts:?}");
        assert!(texts.late.contains("\"timed_out\""), "{texts:?}");
        assert!(texts.again.contains("\"message\""), "{texts:?}");
        assert_eq!(texts.unstored, 1000);
        let retry = Retry::new(Duration::ZERO, "wait a bit", 7);
        let text = of_retry(&retry).expect("it can be written");
        assert!(text.contains("wait a bit"), "{text}");
    }
}
