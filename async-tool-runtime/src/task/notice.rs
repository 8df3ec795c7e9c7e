//! What is to be told of a task to somebody outside: that it has ended, or
//! waits for an answer.

use std::sync::Arc;
use std::time::Duration;

use super::{TaskId, TaskRecord, Timestamp};

/// What is to be told of a task. There is one of each task that asked for it
/// ([`NewTask::notify`](super::NewTask::notify)): the last thing that happened
/// and is worth telling replaces those before it.
///
/// The task's status says what it is. To whom it is told, and how, is not the
/// store's business.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// Counts what was worth telling; 0 before the first.
    pub number: u64,
    /// When somebody is to tell it, or to try again; none while there is nothing
    /// left to do.
    pub due: Option<Timestamp>,
    /// What came of it so far, as JSON text of whoever tells it.
    pub state: Option<Arc<str>>,
}

/// What came of telling a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Told {
    /// The task.
    pub id: TaskId,
    /// Which notice, see [`Notice::number`].
    pub number: u64,
    /// The [`Notice::due`] that the claim gave, which is its fence.
    pub due: Timestamp,
    /// The state to keep.
    pub state: Arc<str>,
    /// How long until the next try; none if there is to be no other.
    pub again: Option<Duration>,
}

impl Told {
    /// The notice of a record that
    /// [`claim_notices`](crate::store::Store::claim_notices) gave, with no other
    /// try. None if it has none that is due.
    pub fn of(record: &TaskRecord, state: impl Into<Arc<str>>) -> Option<Self> {
        let notice = record.notice.as_ref()?;
        Some(Self {
            id: record.id,
            number: notice.number,
            due: notice.due?,
            state: state.into(),
            again: None,
        })
    }

    /// With another try after a while.
    #[must_use]
    pub fn again(mut self, after: Duration) -> Self {
        self.again = Some(after);
        self
    }
}

impl TaskRecord {
    /// Something happened that is worth telling, if anybody wants to know.
    pub(super) fn announce(&mut self, now: Timestamp) {
        if let Some(notice) = &mut self.notice {
            *notice = Notice {
                number: notice.number + 1,
                due: Some(now),
                state: None,
            };
        }
    }

    /// Hands out the notice if it is due: it is due again after `pause`. False,
    /// and nothing changes, if it is not.
    pub fn claim_notice(&mut self, pause: Duration, now: Timestamp) -> bool {
        match &mut self.notice {
            Some(notice) if notice.due.is_some_and(|due| due <= now) => {
                notice.due = Some(now.plus(pause));
                true
            }
            _ => false,
        }
    }

    /// Keeps what came of telling a notice. False, and nothing changes, if
    /// somebody else has claimed it since, or there is a newer one.
    pub fn settle_notice(&mut self, told: &Told, now: Timestamp) -> bool {
        match &mut self.notice {
            Some(notice) if notice.number == told.number && notice.due == Some(told.due) => {
                notice.state = Some(Arc::clone(&told.state));
                notice.due = told.again.map(|after| now.plus(after));
                true
            }
            _ => false,
        }
    }
}
