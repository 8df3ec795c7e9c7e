//! One namespace of a file: the verbs, on their way to the threads.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use rusqlite::OptionalExtension;
use tokio::sync::broadcast;

use super::error::Done;
use super::handle::Handle;
use super::operations::{beat, claim, create, end, notices, questions, reap};
use super::reads;
use super::sessions::Moment;
use super::statement;
use super::stats;
use super::work::Work;
use crate::store::{
    Admission, Answered, Beat, Change, Created, Cursor, Filter, Lease, LogLine, Purged, Reaped,
    Report, Stats, StepRecord, Store, StoreError, Told, Want, hub,
};
use crate::task::{CancelAck, End, Epoch, NewTask, Question, Refused, Release, TaskId, TaskRecord};

#[derive(Debug)]
pub(super) struct Namespace {
    handle: Arc<Handle>,
    ns: i64,
    max_records: usize,
    changes: broadcast::Sender<Change>,
}

impl Namespace {
    pub(super) async fn open(
        handle: Arc<Handle>,
        name: &str,
        max_records: usize,
    ) -> Result<Self, StoreError> {
        let name: Arc<str> = name.into();
        let known = Arc::clone(&name);
        let ns = handle
            .write_unless(
                false,
                move |work| find(work, &known),
                move |work| find_or_create(work, &name),
            )
            .await?;
        Ok(Self {
            changes: handle.shared.hub.of(ns),
            handle,
            ns,
            max_records,
        })
    }
}

fn find(work: &Work<'_>, name: &str) -> Done<Option<i64>> {
    let mut statement =
        statement::prepare(work.connection, "SELECT ns FROM namespaces WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

fn find_or_create(work: &Work<'_>, name: &str) -> Done<i64> {
    if let Some(ns) = find(work, name)? {
        return Ok(ns);
    }
    let mut statement =
        statement::prepare(work.connection, "INSERT INTO namespaces (name) VALUES (?1)")?;
    Ok(statement.insert([name])?)
}

#[async_trait]
impl Store for Namespace {
    async fn create(&self, new: NewTask, admission: Admission) -> Result<Created, StoreError> {
        self.handle.attend();
        let (ns, now, moment) = (self.ns, self.handle.clock.now(), Moment::now());
        let max_records = self.max_records;
        self.handle
            .write(true, move |work| {
                create::create(work, ns, &new, admission, now, moment, max_records)
            })
            .await
    }

    async fn claim(
        &self,
        lease: Lease,
        wants: &[Want],
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let (ns, now, moment) = (self.ns, self.handle.clock.now(), Moment::now());
        let wants: Arc<[Want]> = wants.into();
        let same = Arc::clone(&wants);
        // Durable: a task that must not be started twice would otherwise be
        // queued again after a power cut.
        self.handle
            .write_unless(
                true,
                move |work| {
                    let finds = claim::would_claim(work, ns, &wants, limit, now)?;
                    Ok((!finds).then(Vec::new))
                },
                move |work| claim::claim(work, ns, lease, &same, limit, now, moment),
            )
            .await
    }

    async fn beat(&self, lease: Lease, reports: Vec<Report>) -> Result<Beat, StoreError> {
        let (ns, moment) = (self.ns, Moment::now());
        if !reports.is_empty() {
            return self
                .handle
                .write(false, move |work| {
                    beat::beat(work, ns, lease, &reports, moment)
                })
                .await;
        }
        self.handle
            .write_unless(
                false,
                move |work| {
                    let owned = beat::owned_by(work, ns, lease.session)?;
                    Ok(owned.is_empty().then(Beat::default))
                },
                move |work| beat::beat(work, ns, lease, &[], moment),
            )
            .await
    }

    async fn finish(
        &self,
        id: TaskId,
        epoch: Epoch,
        end: End,
    ) -> Result<Result<(), Refused>, StoreError> {
        let (ns, now) = (self.ns, self.handle.clock.now());
        self.handle
            .write(true, move |work| {
                end::finish(work, ns, id, epoch, &end, now)
            })
            .await
    }

    async fn release(
        &self,
        id: TaskId,
        epoch: Epoch,
        release: Release,
    ) -> Result<Result<(), Refused>, StoreError> {
        let (ns, now) = (self.ns, self.handle.clock.now());
        // The others are repeated or taken over if they get lost.
        let durable = matches!(release, Release::Retry(_));
        self.handle
            .write(durable, move |work| {
                end::release(work, ns, id, epoch, &release, now)
            })
            .await
    }

    async fn put_result(
        &self,
        id: TaskId,
        epoch: Epoch,
        result: Arc<str>,
    ) -> Result<Result<(), Refused>, StoreError> {
        let ns = self.ns;
        // The commit of the end that relies on it makes it durable as well.
        self.handle
            .write(false, move |work| {
                end::put_result(work, ns, id, epoch, &result)
            })
            .await
    }

    async fn record_step(
        &self,
        id: TaskId,
        epoch: Epoch,
        step: StepRecord,
    ) -> Result<Result<(), Refused>, StoreError> {
        let ns = self.ns;
        self.handle
            .write(true, move |work| {
                end::record_step(work, ns, id, epoch, &step)
            })
            .await
    }

    async fn steps(&self, id: TaskId) -> Result<Vec<StepRecord>, StoreError> {
        let ns = self.ns;
        self.handle
            .read(move |connection| reads::steps(connection, ns, id))
            .await
    }

    async fn ask(
        &self,
        id: TaskId,
        epoch: Epoch,
        questions: Vec<Question>,
        revision: u64,
    ) -> Result<Result<(), Refused>, StoreError> {
        let (ns, now, asked) = (self.ns, self.handle.clock.now(), questions);
        // A power cut that takes a question takes the attempt as well, and the
        // next one asks again.
        self.handle
            .write(false, move |work| {
                questions::ask(work, ns, id, epoch, &asked, revision, now)
            })
            .await
    }

    async fn answer(
        &self,
        id: TaskId,
        key: &str,
        answer: Arc<str>,
    ) -> Result<Option<Answered>, StoreError> {
        self.handle.attend();
        let (ns, now) = (self.ns, self.handle.clock.now());
        let (key, step) = (Arc::from(key), StepRecord::answer(key, answer));
        self.handle
            .write(true, move |work| {
                questions::answer(work, ns, id, &step, &key, now)
            })
            .await
    }

    async fn request_cancel(
        &self,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<Option<CancelAck>, StoreError> {
        self.handle.attend();
        let (ns, now) = (self.ns, self.handle.clock.now());
        self.handle
            .write(true, move |work| {
                end::request_cancel(work, ns, id, &reason, now)
            })
            .await
    }

    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        self.handle.attend();
        let (ns, now) = (self.ns, self.handle.clock.now());
        self.handle
            .read(move |connection| reads::get(connection, ns, id, now))
            .await
    }

    async fn log(&self, id: TaskId, limit: usize) -> Result<Vec<LogLine>, StoreError> {
        self.handle.attend();
        let ns = self.ns;
        self.handle
            .read(move |connection| reads::log(connection, ns, id, limit))
            .await
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.handle.attend();
        let (ns, now, filter) = (self.ns, self.handle.clock.now(), filter.clone());
        self.handle
            .read(move |connection| reads::list(connection, ns, &filter, after, limit, now))
            .await
    }

    async fn reap(&self, limit: usize) -> Result<Reaped, StoreError> {
        let (ns, now, moment) = (self.ns, self.handle.clock.now(), Moment::now());
        self.handle
            .write_unless(
                false,
                move |work| reap::look(work, ns, now, moment),
                move |work| reap::reap(work, ns, limit, now, moment),
            )
            .await
    }

    async fn claim_notices(
        &self,
        pause: Duration,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let (ns, now) = (self.ns, self.handle.clock.now());
        // After a power cut it is due again.
        self.handle
            .write_unless(
                false,
                move |work| {
                    let finds = limit > 0 && notices::is_any_due(work, ns, now)?;
                    Ok((!finds).then(Vec::new))
                },
                move |work| notices::claim_notices(work, ns, pause, limit, now),
            )
            .await
    }

    async fn settle_notice(&self, told: Told) -> Result<bool, StoreError> {
        let (ns, now) = (self.ns, self.handle.clock.now());
        self.handle
            .write(false, move |work| {
                notices::settle_notice(work, ns, &told, now)
            })
            .await
    }

    async fn purge(&self, id: TaskId) -> Result<Option<Purged>, StoreError> {
        let (ns, now) = (self.ns, self.handle.clock.now());
        // Durable: whoever deletes something may have to rely on it.
        self.handle
            .write(true, move |work| notices::purge(work, ns, id, now))
            .await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let (ns, now) = (self.ns, self.handle.clock.now());
        self.handle
            .read(move |connection| stats::stats(connection, ns, now))
            .await
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        hub::stream(&self.changes)
    }
}
