//! Tasks in memory: for tests, development and servers whose tasks may be lost.

mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use tokio::sync::broadcast;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

use super::{
    Admission, Answered, Beat, Change, Created, Cursor, Filter, Lease, LogLine, OpenStore, Purged,
    Reaped, Report, Stats, StepRecord, Store, StoreError, Told, Want, hub,
};
use crate::engine::Clock;
use crate::task::{CancelAck, End, Epoch, NewTask, Question, Refused, Release, TaskId, TaskRecord};
use state::State;

/// Keeps tasks in the memory of this process.
///
/// Clones share what they keep, so several servers of one process can act as
/// replicas of each other. When the process ends, everything is gone.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    namespaces: Arc<Mutex<HashMap<String, Arc<Partition>>>>,
    clock: Clock,
    max_records: usize,
}

impl MemoryStore {
    /// How many tasks a namespace keeps, ended ones included, unless said
    /// otherwise.
    pub const DEFAULT_MAX_RECORDS: usize = 250_000;

    /// An empty store.
    pub fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    pub(crate) fn with_clock(clock: Clock) -> Self {
        Self {
            namespaces: Arc::default(),
            clock,
            max_records: Self::DEFAULT_MAX_RECORDS,
        }
    }

    /// Sets how many tasks a namespace keeps, ended ones included. Further
    /// ones are refused until retention has made room. Applies to namespaces
    /// that are opened later.
    #[must_use]
    pub fn max_records(mut self, max_records: usize) -> Self {
        self.max_records = max_records;
        self
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl OpenStore for MemoryStore {
    async fn open(&self, namespace: &str) -> Result<Arc<dyn Store>, StoreError> {
        let mut namespaces = self
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let partition = namespaces.entry(namespace.to_owned()).or_insert_with(|| {
            Arc::new(Partition {
                state: RwLock::default(),
                changes: broadcast::Sender::new(hub::LAG),
                clock: self.clock.clone(),
                max_records: self.max_records,
            })
        });
        Ok(Arc::clone(partition) as Arc<dyn Store>)
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        let namespaces = self
            .namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = namespaces
            .iter()
            .filter(|(_, partition)| !partition.read().is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        names.sort_unstable();
        Ok(names)
    }
}

/// One namespace.
#[derive(Debug)]
struct Partition {
    state: RwLock<State>,
    changes: broadcast::Sender<Change>,
    clock: Clock,
    max_records: usize,
}

impl Partition {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, change: Change) {
        // Nobody listening is no error.
        let _ = self.changes.send(change);
    }
}

#[async_trait]
impl Store for Partition {
    async fn create(&self, new: NewTask, admission: Admission) -> Result<Created, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let (created, change) = {
            let mut state = self.write();
            state.create(new, admission, now, self.max_records)
        };
        if let Some(change) = change {
            self.announce(change);
        }
        Ok(created)
    }

    async fn claim(
        &self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let claimed = self.write().claim(lease, wants, limit, now);
        for record in &claimed {
            self.announce(Change::Task(record.id));
        }
        Ok(claimed)
    }

    async fn beat(&self, lease: Lease, reports: Vec<Report>) -> Result<Beat, StoreError> {
        consume_budget().await;
        let mut changed = Vec::new();
        let beat = self.write().beat(lease, reports, &mut changed);
        for id in changed {
            self.announce(Change::Task(id));
        }
        Ok(beat)
    }

    async fn finish(
        &self,
        id: TaskId,
        epoch: Epoch,
        end: End,
    ) -> Result<Result<(), Refused>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let (finished, frees_a_key) = {
            let mut state = self.write();
            (state.finish(id, epoch, end, now)?, state.frees_a_key(id))
        };
        if finished.is_ok() {
            self.announce(Change::Task(id));
            if frees_a_key {
                self.announce(Change::Queued);
            }
        }
        Ok(finished)
    }

    async fn release(
        &self,
        id: TaskId,
        epoch: Epoch,
        release: Release,
    ) -> Result<Result<(), Refused>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let released = self.write().release(id, epoch, release, now);
        if released.is_ok() {
            self.announce(Change::Task(id));
            self.announce(Change::Queued);
        }
        Ok(released)
    }

    async fn put_result(
        &self,
        id: TaskId,
        epoch: Epoch,
        result: Arc<str>,
    ) -> Result<Result<(), Refused>, StoreError> {
        consume_budget().await;
        Ok(self.write().put_result(id, epoch, result))
    }

    async fn record_step(
        &self,
        id: TaskId,
        epoch: Epoch,
        step: StepRecord,
    ) -> Result<Result<(), Refused>, StoreError> {
        consume_budget().await;
        Ok(self.write().record_step(id, epoch, step))
    }

    async fn steps(&self, id: TaskId) -> Result<Vec<StepRecord>, StoreError> {
        consume_budget().await;
        Ok(self.read().steps(id))
    }

    async fn ask(
        &self,
        id: TaskId,
        epoch: Epoch,
        questions: Vec<Question>,
        revision: u64,
    ) -> Result<Result<(), Refused>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let asked = self.write().ask(id, epoch, questions, revision, now);
        Ok(asked.map(|change| {
            if let Some(change) = change {
                self.announce(change);
            }
        }))
    }

    async fn answer(
        &self,
        id: TaskId,
        key: &str,
        answer: Arc<str>,
    ) -> Result<Option<Answered>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let answered = self.write().answer(id, key, answer, now);
        if answered == Some(Answered::Recorded) {
            self.announce(Change::Task(id));
        }
        Ok(answered)
    }

    async fn request_cancel(
        &self,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<Option<CancelAck>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let ack = self.write().request_cancel(id, &reason, now);
        match ack {
            Some(CancelAck::Requested) => {
                self.announce(Change::Cancel(id));
                self.announce(Change::Task(id));
            }
            Some(CancelAck::Ended) => self.announce(Change::Task(id)),
            Some(CancelAck::Unchanged) | None => {}
        }
        Ok(ack)
    }

    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        Ok(self.read().get(id, now))
    }

    async fn log(&self, id: TaskId, limit: usize) -> Result<Vec<LogLine>, StoreError> {
        consume_budget().await;
        Ok(self.read().log(id, limit))
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        Ok(self.read().list(filter, after, limit, now))
    }

    async fn reap(&self, limit: usize) -> Result<Reaped, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let (reaped, frees) = self.write().reap(now, Instant::now(), limit);
        for id in [
            &reaped.requeued,
            &reaped.interrupted,
            &reaped.expired,
            &reaped.purged,
        ]
        .into_iter()
        .flatten()
        {
            self.announce(Change::Task(*id));
        }
        if frees {
            self.announce(Change::Queued);
        }
        Ok(reaped)
    }

    async fn claim_notices(
        &self,
        pause: Duration,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        Ok(self.write().claim_notices(pause, limit, now))
    }

    async fn settle_notice(&self, told: Told) -> Result<bool, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        Ok(self.write().settle_notice(&told, now))
    }

    async fn purge(&self, id: TaskId) -> Result<Option<Purged>, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        let purged = self.write().purge(id, now);
        if purged == Some(Purged::Gone) {
            self.announce(Change::Task(id));
        }
        Ok(purged)
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        consume_budget().await;
        let now = self.clock.now();
        Ok(self.read().stats(now))
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        hub::stream(&self.changes)
    }
}
