//! How long a store takes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use metrics::{Histogram, Label};
use tokio::time::Instant;
use tracing::Instrument;

use super::names::{self, Names};
use super::spans;
use crate::store::{
    Admission, Answered, Beat, CancelAck, Change, Created, Cursor, End, Epoch, Filter, Lease,
    LogLine, NewTask, Purged, Question, Reaped, Refused, Release, Report, Stats, StepRecord, Store,
    StoreError, TaskId, TaskRecord, Told, Want,
};

/// A store whose calls are measured, and are spans.
pub(super) struct Measured {
    store: Arc<dyn Store>,
    verbs: Verbs,
}

/// One verb of a store.
struct Verb {
    name: &'static str,
    ok: Histogram,
    error: Histogram,
}

macro_rules! verbs {
    ($($verb:ident)*) => {
        struct Verbs {
            $($verb: Verb,)*
        }

        impl Verbs {
            fn new(names: &Names) -> Self {
                Self {
                    $($verb: Verb::new(names, stringify!($verb)),)*
                }
            }
        }
    };
}

verbs! {
    create claim beat finish release put_result record_step steps ask answer request_cancel
    get log list reap claim_notices settle_notice purge stats
}

impl Verb {
    fn new(names: &Names, name: &'static str) -> Self {
        let took = |outcome| {
            let labels = vec![Label::new("verb", name), Label::new("outcome", outcome)];
            names.histogram(&names::STORE_DURATION, labels)
        };
        Self {
            name,
            ok: took("ok"),
            error: took("error"),
        }
    }

    /// What a store refuses it has done well: only errors are errors.
    async fn measure<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let span = spans::store_call(self.name);
        let began = Instant::now();
        let answer = call.instrument(span.clone()).await;
        if answer.is_ok() {
            self.ok.record(began.elapsed());
        } else {
            self.error.record(began.elapsed());
            spans::store_failed(&span);
        }
        answer
    }
}

impl Measured {
    pub(super) fn new(store: Arc<dyn Store>, names: &Names) -> Self {
        let verbs = Verbs::new(names);
        Self { store, verbs }
    }
}

#[async_trait]
impl Store for Measured {
    async fn create(&self, new: NewTask, admission: Admission) -> Result<Created, StoreError> {
        let call = self.store.create(new, admission);
        self.verbs.create.measure(call).await
    }

    async fn claim(
        &self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let call = self.store.claim(lease, wants, limit);
        self.verbs.claim.measure(call).await
    }

    async fn beat(&self, lease: Lease, reports: Vec<Report>) -> Result<Beat, StoreError> {
        let call = self.store.beat(lease, reports);
        self.verbs.beat.measure(call).await
    }

    async fn finish(
        &self,
        id: TaskId,
        epoch: Epoch,
        end: End,
    ) -> Result<Result<(), Refused>, StoreError> {
        let call = self.store.finish(id, epoch, end);
        self.verbs.finish.measure(call).await
    }

    async fn release(
        &self,
        id: TaskId,
        epoch: Epoch,
        release: Release,
    ) -> Result<Result<(), Refused>, StoreError> {
        let call = self.store.release(id, epoch, release);
        self.verbs.release.measure(call).await
    }

    async fn put_result(
        &self,
        id: TaskId,
        epoch: Epoch,
        result: Arc<str>,
    ) -> Result<Result<(), Refused>, StoreError> {
        let call = self.store.put_result(id, epoch, result);
        self.verbs.put_result.measure(call).await
    }

    async fn record_step(
        &self,
        id: TaskId,
        epoch: Epoch,
        step: StepRecord,
    ) -> Result<Result<(), Refused>, StoreError> {
        let call = self.store.record_step(id, epoch, step);
        self.verbs.record_step.measure(call).await
    }

    async fn steps(&self, id: TaskId) -> Result<Vec<StepRecord>, StoreError> {
        self.verbs.steps.measure(self.store.steps(id)).await
    }

    async fn ask(
        &self,
        id: TaskId,
        epoch: Epoch,
        questions: Vec<Question>,
        revision: u64,
    ) -> Result<Result<(), Refused>, StoreError> {
        let call = self.store.ask(id, epoch, questions, revision);
        self.verbs.ask.measure(call).await
    }

    async fn answer(
        &self,
        id: TaskId,
        key: &str,
        answer: Arc<str>,
    ) -> Result<Option<Answered>, StoreError> {
        let call = self.store.answer(id, key, answer);
        self.verbs.answer.measure(call).await
    }

    async fn request_cancel(
        &self,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<Option<CancelAck>, StoreError> {
        let call = self.store.request_cancel(id, reason);
        self.verbs.request_cancel.measure(call).await
    }

    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        self.verbs.get.measure(self.store.get(id)).await
    }

    async fn log(&self, id: TaskId, limit: usize) -> Result<Vec<LogLine>, StoreError> {
        self.verbs.log.measure(self.store.log(id, limit)).await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let call = self.store.list(filter, after, limit);
        self.verbs.list.measure(call).await
    }

    async fn reap(&self, limit: usize) -> Result<Reaped, StoreError> {
        self.verbs.reap.measure(self.store.reap(limit)).await
    }

    async fn claim_notices(
        &self,
        pause: Duration,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let call = self.store.claim_notices(pause, limit);
        self.verbs.claim_notices.measure(call).await
    }

    async fn settle_notice(&self, told: Told) -> Result<bool, StoreError> {
        let call = self.store.settle_notice(told);
        self.verbs.settle_notice.measure(call).await
    }

    async fn purge(&self, id: TaskId) -> Result<Option<Purged>, StoreError> {
        self.verbs.purge.measure(self.store.purge(id)).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.verbs.stats.measure(self.store.stats()).await
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        self.store.changes()
    }
}
