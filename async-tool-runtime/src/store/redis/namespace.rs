//! One namespace of a server: the verbs, on their way to its thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::handle::Handle;
use super::names::base;
use super::verbs::Verbs;
use crate::store::sessions::Observations;
use crate::store::{
    Admission, Answered, Beat, Change, Created, Cursor, Filter, Lease, LogLine, Purged, Reaped,
    Report, Stats, StepRecord, Store, StoreError, Told, Want, hub,
};
use crate::task::{CancelAck, End, Epoch, NewTask, Question, Refused, Release, TaskId, TaskRecord};

#[derive(Debug)]
pub(super) struct Namespace {
    verbs: Verbs,
    max_records: usize,
    changes: broadcast::Sender<Change>,
    observations: Mutex<Observations<()>>,
}

impl Namespace {
    pub(super) async fn open(
        handle: Handle,
        name: &str,
        max_records: usize,
    ) -> Result<Self, StoreError> {
        let base = base(&handle.prefix, name);
        let (channel, changes) = (format!("{base}changes"), handle.changes.clone());
        let changes = handle
            .call(async move { changes.of(channel).await })
            .await?;
        Ok(Self {
            verbs: Verbs {
                handle,
                base: base.into(),
                now: None,
            },
            max_records,
            changes,
            observations: Mutex::default(),
        })
    }

    fn observations(&self) -> MutexGuard<'_, Observations<()>> {
        self.observations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn next_beat(&self) -> i64 {
        self.observations().next_beat()
    }

    /// Remembers a renewal of this process, once it was answered.
    fn renewed(&self, lease: Lease, beat: i64) {
        let now = Instant::now();
        self.observations().saw((), lease.session, beat, now);
    }

    /// Carries out a call on the thread of the connections.
    async fn call<T, F>(&self, verb: impl FnOnce(Verbs) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let mut verbs = self.verbs.clone();
        verbs.now = verbs.handle.now();
        self.verbs.handle.call(verb(verbs)).await
    }
}

#[async_trait]
impl Store for Namespace {
    async fn create(&self, new: NewTask, admission: Admission) -> Result<Created, StoreError> {
        let (beat, max_records) = (self.next_beat(), self.max_records);
        let created = self
            .call(async move |verbs| verbs.create(&new, admission, beat, max_records).await)
            .await?;
        if let (Created::New(record), Some(lease)) = (&created, admission.claim)
            && record.owner.is_some()
        {
            self.renewed(lease, beat);
        }
        Ok(created)
    }

    async fn claim(
        &self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let (beat, wants) = (self.next_beat(), wants.to_vec());
        let claimed = self
            .call(async move |verbs| verbs.claim(lease, beat, &wants, limit).await)
            .await?;
        if !claimed.is_empty() {
            self.renewed(lease, beat);
        }
        Ok(claimed)
    }

    async fn beat(&self, lease: Lease, reports: Vec<Report>) -> Result<Beat, StoreError> {
        let beat = self.next_beat();
        let answer = self
            .call(async move |verbs| verbs.beat(lease, beat, &reports).await)
            .await?;
        if !answer.owned.is_empty() {
            self.renewed(lease, beat);
        }
        Ok(answer)
    }

    async fn finish(
        &self,
        id: TaskId,
        epoch: Epoch,
        end: End,
    ) -> Result<Result<(), Refused>, StoreError> {
        self.call(async move |verbs| verbs.finish(id, epoch, &end).await)
            .await
    }

    async fn release(
        &self,
        id: TaskId,
        epoch: Epoch,
        release: Release,
    ) -> Result<Result<(), Refused>, StoreError> {
        self.call(async move |verbs| verbs.release(id, epoch, &release).await)
            .await
    }

    async fn put_result(
        &self,
        id: TaskId,
        epoch: Epoch,
        result: Arc<str>,
    ) -> Result<Result<(), Refused>, StoreError> {
        self.call(async move |verbs| verbs.put_result(id, epoch, &result).await)
            .await
    }

    async fn record_step(
        &self,
        id: TaskId,
        epoch: Epoch,
        step: StepRecord,
    ) -> Result<Result<(), Refused>, StoreError> {
        self.call(async move |verbs| verbs.record_step(id, epoch, &step).await)
            .await
    }

    async fn steps(&self, id: TaskId) -> Result<Vec<StepRecord>, StoreError> {
        self.call(async move |verbs| verbs.steps(id).await).await
    }

    async fn ask(
        &self,
        id: TaskId,
        epoch: Epoch,
        questions: Vec<Question>,
        revision: u64,
    ) -> Result<Result<(), Refused>, StoreError> {
        self.call(async move |verbs| verbs.ask_questions(id, epoch, &questions, revision).await)
            .await
    }

    async fn answer(
        &self,
        id: TaskId,
        key: &str,
        answer: Arc<str>,
    ) -> Result<Option<Answered>, StoreError> {
        let (key, step) = (Arc::<str>::from(key), StepRecord::answer(key, answer));
        self.call(async move |verbs| verbs.answer_question(id, &key, &step).await)
            .await
    }

    async fn request_cancel(
        &self,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<Option<CancelAck>, StoreError> {
        self.call(async move |verbs| verbs.request_cancel(id, &reason).await)
            .await
    }

    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        self.call(async move |verbs| verbs.get(id).await).await
    }

    async fn log(&self, id: TaskId, limit: usize) -> Result<Vec<LogLine>, StoreError> {
        self.call(async move |verbs| verbs.log(id, limit).await)
            .await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let filter = filter.clone();
        self.call(async move |verbs| verbs.list(&filter, after, limit).await)
            .await
    }

    async fn reap(&self, limit: usize) -> Result<Reaped, StoreError> {
        // The clock of whoever asks: it may be a paused one.
        let from = Instant::now();
        let sessions = self.call(async move |verbs| verbs.sessions().await).await?;
        let to = Instant::now();
        let verdict = self.observations().judge((), &sessions, from, to);
        let dead = verdict.dead;
        let (mut reaped, next) = self
            .call(async move |verbs| verbs.reap(limit, &dead).await)
            .await?;
        reaped.next = [verdict.next, next]
            .into_iter()
            .flatten()
            .min()
            .map(|next| next.max(Duration::from_millis(1)));
        Ok(reaped)
    }

    async fn claim_notices(
        &self,
        pause: Duration,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.call(async move |verbs| verbs.claim_notices(pause, limit).await)
            .await
    }

    async fn settle_notice(&self, told: Told) -> Result<bool, StoreError> {
        self.call(async move |verbs| verbs.settle_notice(&told).await)
            .await
    }

    async fn purge(&self, id: TaskId) -> Result<Option<Purged>, StoreError> {
        self.call(async move |verbs| verbs.purge(id).await).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.call(async move |verbs| verbs.stats().await).await
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        hub::stream(&self.changes)
    }
}
