//! A memory store with one flaw, or none.

mod clean;
mod create;
mod flaw;
mod notices;
mod operators;
mod questions;
mod read;
mod work;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_core::stream::BoxStream;

pub(super) use flaw::Flaw;

use crate::store::*;

/// Long enough for what races to get in between.
const GAP: Duration = Duration::from_millis(30);

/// Opens broken stores.
pub(super) struct Broken {
    store: MemoryStore,
    flaw: Option<Flaw>,
    opened: Mutex<HashMap<String, Arc<Namespace>>>,
    all: Arc<Mutex<Vec<Arc<dyn Store>>>>,
    handles: Mutex<u32>,
}

impl Broken {
    pub(super) fn by(flaw: Option<Flaw>) -> Self {
        Self {
            store: MemoryStore::new(),
            flaw,
            opened: Mutex::default(),
            all: Arc::default(),
            handles: Mutex::default(),
        }
    }
}

#[async_trait]
impl OpenStore for Broken {
    async fn open(&self, namespace: &str) -> Result<Arc<dyn Store>, StoreError> {
        let name = match self.flaw {
            Some(Flaw::OneNamespace) => "one".to_owned(),
            Some(Flaw::NamespaceOfEachHandle) => {
                let mut handles = lock(&self.handles);
                *handles += 1;
                format!("{namespace} {handles}")
            }
            _ => namespace.to_owned(),
        };
        let inner = self.store.open(&name).await?;
        let mut opened = lock(&self.opened);
        let namespace = opened.entry(name).or_insert_with(|| {
            lock(&self.all).push(Arc::clone(&inner));
            Arc::new(Namespace {
                inner,
                all: Arc::clone(&self.all),
                flaw: self.flaw,
                memo: Mutex::default(),
                quiet: Arc::default(),
            })
        });
        Ok(Arc::clone(namespace) as Arc<dyn Store>)
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.flawed_namespaces().await
    }
}

/// A namespace of a broken store.
struct Namespace {
    inner: Arc<dyn Store>,
    /// All that the store has.
    all: Arc<Mutex<Vec<Arc<dyn Store>>>>,
    flaw: Option<Flaw>,
    memo: Mutex<Memo>,
    /// Tasks of which no changes are told.
    quiet: Arc<Mutex<HashSet<TaskId>>>,
}

/// What a flaw needs to know.
#[derive(Default)]
struct Memo {
    poisoned: bool,
    keys: HashMap<Arc<str>, TaskId>,
    shared: HashMap<Fingerprint, TaskId>,
    records: HashMap<TaskId, TaskRecord>,
    read: HashMap<TaskId, (Instant, TaskRecord)>,
    claiming: Option<SessionId>,
    claimed: Vec<TaskRecord>,
    given_back: HashSet<TaskId>,
    opened: HashMap<SessionId, Instant>,
    reports: u64,
    results: HashMap<TaskId, Arc<str>>,
    steps: HashMap<TaskId, Vec<StepRecord>>,
    /// The last ones that were seen.
    inputs: HashMap<TaskId, Arc<Input>>,
    /// All that were asked; where the flaw is about those that were answered,
    /// they alone.
    asked: HashMap<TaskId, Vec<Question>>,
    lines: HashMap<TaskId, Vec<LogLine>>,
    /// The states of notices.
    told: HashMap<TaskId, Arc<str>>,
    reasons: HashMap<TaskId, Arc<str>>,
    next: Option<Option<Duration>>,
    readers: usize,
}

impl Namespace {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn memo(&self) -> MutexGuard<'_, Memo> {
        lock(&self.memo)
    }

    /// The task's present epoch, where the caller's is not looked at.
    async fn any_epoch(&self, flaw: Flaw, id: TaskId, epoch: Epoch) -> Result<Epoch, StoreError> {
        if !self.has(flaw) {
            return Ok(epoch);
        }
        let record = self.inner.get(id).await?;
        Ok(record.map_or(epoch, |record| record.epoch))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the store unfit for use, unless a call comes to its end.
struct PoisonOnDrop<'a>(&'a Namespace, bool);

impl Drop for PoisonOnDrop<'_> {
    fn drop(&mut self) {
        if self.1 {
            self.0.memo().poisoned = true;
        }
    }
}

#[async_trait]
impl Store for Namespace {
    async fn create(&self, new: NewTask, admission: Admission) -> Result<Created, StoreError> {
        self.flawed_create(new, admission).await
    }

    async fn claim(
        &self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.flawed_claim(lease, wants, limit).await
    }

    async fn beat(&self, lease: Lease, reports: Vec<Report>) -> Result<Beat, StoreError> {
        self.flawed_beat(lease, reports).await
    }

    async fn finish(
        &self,
        id: TaskId,
        epoch: Epoch,
        end: End,
    ) -> Result<Result<(), Refused>, StoreError> {
        self.flawed_finish(id, epoch, end).await
    }

    async fn release(
        &self,
        id: TaskId,
        epoch: Epoch,
        release: Release,
    ) -> Result<Result<(), Refused>, StoreError> {
        self.flawed_release(id, epoch, release).await
    }

    async fn put_result(
        &self,
        id: TaskId,
        epoch: Epoch,
        result: Arc<str>,
    ) -> Result<Result<(), Refused>, StoreError> {
        self.flawed_put_result(id, epoch, result).await
    }

    async fn record_step(
        &self,
        id: TaskId,
        epoch: Epoch,
        step: StepRecord,
    ) -> Result<Result<(), Refused>, StoreError> {
        self.flawed_record_step(id, epoch, step).await
    }

    async fn steps(&self, id: TaskId) -> Result<Vec<StepRecord>, StoreError> {
        self.flawed_steps(id).await
    }

    async fn ask(
        &self,
        id: TaskId,
        epoch: Epoch,
        questions: Vec<Question>,
        revision: u64,
    ) -> Result<Result<(), Refused>, StoreError> {
        self.flawed_ask(id, epoch, questions, revision).await
    }

    async fn answer(
        &self,
        id: TaskId,
        key: &str,
        answer: Arc<str>,
    ) -> Result<Option<Answered>, StoreError> {
        self.flawed_answer(id, key, answer).await
    }

    async fn request_cancel(
        &self,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<Option<CancelAck>, StoreError> {
        self.flawed_request_cancel(id, reason).await
    }

    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        self.flawed_get(id).await
    }

    async fn log(&self, id: TaskId, limit: usize) -> Result<Vec<LogLine>, StoreError> {
        self.flawed_log(id, limit).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.flawed_list(filter, after, limit).await
    }

    async fn reap(&self, limit: usize) -> Result<Reaped, StoreError> {
        self.flawed_reap(limit).await
    }

    async fn claim_notices(
        &self,
        pause: Duration,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.flawed_claim_notices(pause, limit).await
    }

    async fn settle_notice(&self, told: Told) -> Result<bool, StoreError> {
        self.flawed_settle_notice(told).await
    }

    async fn purge(&self, id: TaskId) -> Result<Option<Purged>, StoreError> {
        self.flawed_purge(id).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.flawed_stats().await
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        self.flawed_changes()
    }
}
