//! How stores that keep records outside of this process write parts of them.

use std::sync::Arc;

use super::Change;
#[cfg(any(feature = "sqlite", feature = "redis"))]
use crate::task::ConcurrencyLimit;
use crate::task::{Fingerprint, Outcome, Principal, Status, TaskFailure, TaskId, TaskRecord};

pub(super) fn status_code(status: Status) -> i16 {
    match status {
        Status::Queued => 0,
        Status::Working => 1,
        Status::InputRequired => 2,
        Status::Completed => 3,
        Status::Failed => 4,
        Status::Cancelled => 5,
    }
}

pub(super) fn status(code: i64) -> Option<Status> {
    Some(match code {
        0 => Status::Queued,
        1 => Status::Working,
        2 => Status::InputRequired,
        3 => Status::Completed,
        4 => Status::Failed,
        5 => Status::Cancelled,
        _ => return None,
    })
}

/// With the version of its algorithm: those of different versions are never
/// equal.
pub(super) fn fingerprint(fingerprint: Fingerprint) -> [u8; 33] {
    let mut bytes = [Fingerprint::VERSION; 33];
    bytes[1..].copy_from_slice(fingerprint.as_bytes());
    bytes
}

/// A principal where there must be a text: somebody is told from nobody by the
/// first character.
pub(super) fn scope(principal: Option<&Principal>) -> String {
    principal.map_or_else(String::new, |principal| format!("={principal}"))
}

/// `[["key",limit],…]`, or nothing where there is none.
#[cfg(any(feature = "sqlite", feature = "redis"))]
pub(super) fn concurrency_text(
    concurrency: &[ConcurrencyLimit],
) -> serde_json::Result<Option<String>> {
    let pairs: Vec<(&str, u32)> = concurrency
        .iter()
        .map(|limit| (limit.key.as_ref(), limit.limit))
        .collect();
    (!pairs.is_empty())
        .then(|| serde_json::to_string(&pairs))
        .transpose()
}

#[cfg(any(feature = "sqlite", feature = "redis"))]
pub(super) fn concurrency(text: Option<&str>) -> serde_json::Result<Arc<[ConcurrencyLimit]>> {
    let Some(text) = text else {
        return Ok(Arc::default());
    };
    let pairs: Vec<(String, u32)> = serde_json::from_str(text)?;
    Ok(pairs
        .into_iter()
        .map(|(key, limit)| ConcurrencyLimit::new(key, limit))
        .collect())
}

/// How an outcome is kept; results are kept apart.
pub(super) fn outcome_text(outcome: &Outcome) -> serde_json::Result<Option<String>> {
    Ok(match outcome {
        Outcome::Completed(_) => None,
        Outcome::Failed(failure) => Some(serde_json::to_string(failure)?),
        Outcome::Cancelled(reason) => Some(reason.as_ref().to_owned()),
    })
}

/// What [`outcome_text`] has written. None where the text is missing or
/// damaged.
pub(super) fn outcome(
    status: Status,
    text: Option<&str>,
    result: Arc<str>,
) -> Option<Option<Outcome>> {
    Some(match status {
        Status::Completed => Some(Outcome::Completed(result)),
        Status::Failed => {
            let failure: TaskFailure = serde_json::from_str(text?).ok()?;
            Some(Outcome::Failed(Box::new(failure)))
        }
        Status::Cancelled => Some(Outcome::Cancelled(text?.into())),
        Status::Queued | Status::Working | Status::InputRequired => None,
    })
}

/// A record that a later version of this crate wrote.
pub(super) fn newer_record(format: i64) -> String {
    format!(
        "a newer version of async-tool wrote this task (record format {format}; this one knows up to {})",
        TaskRecord::FORMAT
    )
}

/// A change as it is told to other processes: its kind, and its task.
pub(super) const CHANGE: usize = 17;
#[cfg(any(test, feature = "sqlite", feature = "postgres"))]
const NO_TASK: [u8; 16] = [0; 16];

#[cfg(any(test, feature = "sqlite", feature = "postgres"))]
pub(super) fn change(change: Change) -> [u8; CHANGE] {
    let (kind, id) = match change {
        Change::Task(id) => (1, id.to_bytes()),
        Change::Cancel(id) => (2, id.to_bytes()),
        Change::Queued => (3, NO_TASK),
        Change::Resync => (0, NO_TASK),
    };
    let mut bytes = [kind; CHANGE];
    bytes[1..].copy_from_slice(&id);
    bytes
}

/// The changes that were told together; none where that cannot be said.
pub(super) fn changes(told: &[u8]) -> Option<Vec<Change>> {
    if told.is_empty() || !told.len().is_multiple_of(CHANGE) {
        return None;
    }
    told.chunks_exact(CHANGE)
        .map(|bytes| {
            let id = TaskId::from_bytes(bytes[1..].try_into().ok()?);
            Some(match bytes[0] {
                1 => Change::Task(id),
                2 => Change::Cancel(id),
                3 => Change::Queued,
                _ => Change::Resync,
            })
        })
        .collect()
}
