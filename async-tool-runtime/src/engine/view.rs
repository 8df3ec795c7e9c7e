//! A task at one moment, from the record and from what runs here.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::worker::Live;
use crate::progress::ProgressState;
use crate::store::StoreError;
use crate::task::{Status, TaskId, TaskRecord, Timestamp};

/// A task at one moment.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) record: TaskRecord,
    pub(crate) progress: Option<Arc<ProgressState>>,
    /// Grows with each change of status or step and with a request to stop.
    pub(crate) revision: u64,
    /// It was asked to stop and has not ended.
    pub(crate) stopping: bool,
    /// When this was seen.
    pub(crate) now: Timestamp,
}

/// Longest advised pause between polls, in seconds.
const MAX_POLL: u64 = 30;

impl View {
    pub(super) fn stored(record: TaskRecord, now: Timestamp) -> Self {
        Self {
            progress: record.progress.clone(),
            revision: record.revision,
            stopping: record.cancel.is_some() && !record.status.is_terminal(),
            record,
            now,
        }
    }

    /// A task that runs here and waits for answers, as the store has it: other
    /// replicas take them too.
    pub(super) fn waiting(live: &Live, record: TaskRecord, now: Timestamp) -> Self {
        if record.epoch != live.record.epoch || record.status.is_terminal() {
            return Self::stored(record, now);
        }
        Self {
            revision: record.revision.max(live.shown()),
            progress: Some(Arc::new(live.progress.state())),
            ..Self::stored(record, now)
        }
    }

    pub(super) fn live(live: &Live, now: Timestamp) -> Self {
        let progress = live.progress.state();
        let mut record = live.record.clone();
        record.input = live.waiting.input();
        record.cancel = live.stop.cancel().cloned().or(record.cancel);
        Self {
            record,
            revision: live.revision(progress.step_changes),
            progress: Some(Arc::new(progress)),
            stopping: live.stop.is_requested(),
            now,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.record.status.is_terminal()
    }

    /// Whether whoever waits for the task has something to do.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_done() || self.record.status == Status::InputRequired
    }

    /// How long the task will probably go on, from its progress so far.
    pub(crate) fn eta(&self) -> Option<Duration> {
        const TOO_EARLY: f64 = 0.02;
        if self.record.status != Status::Working {
            return None;
        }
        let fraction = self.progress.as_ref()?.fraction?;
        let elapsed = self.now.since(self.record.started_at?).as_secs_f64();
        if fraction < TOO_EARLY || elapsed < 1.0 {
            return None;
        }
        let left = elapsed * (1.0 - fraction) / fraction;
        let deadline = self.record.deadline.since(self.now);
        Some(Duration::try_from_secs_f64(left).map_or(deadline, |left| left.min(deadline)))
    }

    /// When to ask again: 1, 2, 4 … 30 seconds with the age of the task, cut
    /// to half of the ETA. None for a task that has ended.
    pub(crate) fn poll_after(&self) -> Option<Duration> {
        if self.is_done() {
            return None;
        }
        let age = self.now.since(self.record.created_at).as_secs();
        let doubling = (age + 1).checked_ilog2().map_or(1, |log| 1 << log.min(5));
        let by_age = doubling.min(MAX_POLL);
        let by_eta = self
            .eta()
            .map_or(MAX_POLL, |eta| eta.as_secs().div_ceil(2).max(1));
        Some(Duration::from_secs(by_age.min(by_eta)))
    }
}

impl View {
    /// How long after its creation the task may be gone, as far as is known
    /// now.
    pub(crate) fn ttl(&self) -> Duration {
        let record = &self.record;
        let end = record
            .expires_at()
            .unwrap_or_else(|| record.deadline.plus(record.retention));
        end.since(record.created_at)
    }
}

impl Engine {
    /// The task as it is now: from memory if it runs here, else as stored.
    pub(super) async fn view(&self, id: TaskId) -> Result<Option<View>, StoreError> {
        let live = self.worker.get(id);
        if let Some(live) = live.as_ref().filter(|live| !live.waiting.is_stored()) {
            return Ok(Some(View::live(live, self.clock.now())));
        }
        let record = self.store.get(id).await?;
        Ok(record.map(|record| {
            self.recent.compare(&record);
            self.seen(record)
        }))
    }

    /// Whether a task runs here, so that the store has nothing more to say.
    pub(super) fn has_at_hand(&self, id: TaskId) -> bool {
        let live = self.worker.get(id);
        live.is_some_and(|live| !live.waiting.is_stored())
    }

    /// What the store had of a task, and what is known of it here.
    pub(super) fn seen(&self, record: TaskRecord) -> View {
        let now = self.clock.now();
        match self.worker.get(record.id) {
            Some(live) if live.waiting.is_stored() => View::waiting(&live, record, now),
            // Its end is written before its attempt is over here.
            Some(live) if !record.status.is_terminal() => View::live(&live, now),
            _ => View::stored(record, now),
        }
    }

    #[cfg(test)]
    pub(crate) async fn stored_status(&self, id: TaskId) -> Status {
        let record = self.store.get(id).await.expect("the store works");
        record.expect("the task is kept").status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::NewTask;

    fn working(age: u64, fraction: Option<f64>) -> View {
        let mut record = TaskRecord::admit(
            NewTask::new(
                TaskId::random(),
                "t",
                "{}",
                Duration::from_secs(86_400),
                Duration::from_secs(60),
            ),
            Timestamp(0),
        );
        record.claim(crate::task::SessionId::random(), Timestamp(0));
        record.progress = Some(Arc::new(ProgressState {
            fraction,
            ..ProgressState::default()
        }));
        View::stored(record, Timestamp(age * 1000))
    }

    #[test]
    fn the_advised_pause_doubles_with_age_up_to_thirty_seconds() {
        let pauses: Vec<u64> = [0, 1, 2, 3, 6, 7, 15, 31, 1_000_000]
            .into_iter()
            .filter_map(|age| working(age, None).poll_after())
            .map(|pause| pause.as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 2, 4, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_known_end_halves_the_pause() {
        let view = working(60, Some(0.9));
        assert_eq!(view.eta().map(|eta| eta.as_secs()), Some(6));
        assert_eq!(view.poll_after(), Some(Duration::from_secs(3)));
        assert_eq!(working(60, Some(0.001)).eta(), None);
        assert_eq!(
            working(60, Some(1.0)).poll_after(),
            Some(Duration::from_secs(1))
        );
    }
}
