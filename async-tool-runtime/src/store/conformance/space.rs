//! Where a case takes place: a fresh namespace, open twice, and short words for
//! what most cases do there.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use tokio::task::JoinSet;

use super::check::{Part, Problem};
use crate::store::{
    Admission, Change, ConcurrencyLimit, Created, End, Fingerprint, Lease, Limit, NewTask,
    OpenStore, Outcome as TaskOutcome, ProgressState, Reaped, Release, Report, Retry, SessionId,
    Store, TaskFailure, TaskId, TaskKey, TaskRecord, Want,
};

/// Longer than any case takes.
pub(super) const LONG: Duration = Duration::from_secs(600);
/// More than any case needs.
pub(super) const MANY: usize = 1_000_000;

/// A fresh namespace.
pub(super) struct Space {
    /// One worker's view of it.
    pub(super) one: Replica,
    /// Another one's.
    pub(super) other: Replica,
    /// The unit of time.
    pub(super) lease: Duration,
    patience: Duration,
    pub(super) name: String,
    pub(super) open: Arc<dyn OpenStore>,
    pub(super) reopen: Arc<dyn OpenStore>,
}

impl Space {
    pub(super) async fn open(
        case: &str,
        open: Arc<dyn OpenStore>,
        reopen: Arc<dyn OpenStore>,
        lease: Duration,
        patience: Duration,
    ) -> Part<Self> {
        let name = format!("{case}-{}", TaskId::random());
        Ok(Self {
            one: Replica(open.open(&name).await?),
            other: Replica(reopen.open(&name).await?),
            lease,
            patience,
            name,
            open,
            reopen,
        })
    }

    /// Another namespace, whose name goes on where this one's ends.
    pub(super) async fn elsewhere(&self, suffix: &str) -> Part<Replica> {
        let name = format!("{}{suffix}", self.name);
        Ok(Replica(self.open.open(&name).await?))
    }

    /// A new session, whose lease soon runs out.
    pub(super) fn brief(&self) -> Lease {
        Lease::new(SessionId::random(), self.lease)
    }

    /// A task that soon expires once it has ended.
    pub(super) fn fleeting(&self, tool: &str) -> NewTask {
        let mut new = task(tool);
        new.retention = self.lease;
        new
    }

    /// One unit of time, from now on.
    pub(super) fn term(&self) -> Term {
        Term {
            started: Instant::now(),
            length: self.lease,
        }
    }

    /// To wait for something.
    pub(super) fn patience(&self, what: &'static str) -> Patience {
        Patience {
            what,
            until: Instant::now() + self.patience,
            pause: self.lease / 30,
        }
    }

    /// The changes that a replica hears of from now on.
    pub(super) fn changes(&self, replica: &Replica) -> Reader {
        Reader {
            changes: replica.changes(),
            patience: self.patience,
        }
    }

    /// Cleans up until something is as it should be; returns all that was
    /// reaped on the way.
    pub(super) async fn reap_until(
        &self,
        what: &'static str,
        limit: usize,
        mut done: impl FnMut(&Reaped) -> bool,
    ) -> Part<Reaped> {
        let mut all = Reaped::default();
        let mut patience = self.patience(what);
        loop {
            let reaped = self.other.reap(limit).await?;
            all.requeued.extend(reaped.requeued);
            all.interrupted.extend(reaped.interrupted);
            all.expired.extend(reaped.expired);
            all.purged.extend(reaped.purged);
            (all.ready, all.next) = (reaped.ready, reaped.next);
            if done(&all) {
                return Ok(all);
            }
            patience.pause().await?;
        }
    }
}

/// A time that must have passed before something may happen. It has begun when
/// the term was made or later, and what happens is seen when it happened or
/// later: so a slow machine cannot make a right store look wrong.
pub(super) struct Term {
    started: Instant,
    length: Duration,
}

impl Term {
    pub(super) fn is_over(&self) -> bool {
        self.started.elapsed() >= self.length
    }

    /// Clocks count milliseconds, and not all of them equally fast.
    pub(super) fn ensure_over(&self, what: &str) -> Part {
        let elapsed = self.started.elapsed();
        if elapsed + self.length / 10 >= self.length {
            return Ok(());
        }
        Err(Problem::new(format!(
            "too early, {what}: after {elapsed:?} instead of {:?}",
            self.length
        )))
    }
}

/// Waits for what must happen, but not for ever.
pub(super) struct Patience {
    what: &'static str,
    until: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) async fn pause(&mut self) -> Part {
        if Instant::now() >= self.until {
            return Err(Problem::new(format!("waited in vain until {}", self.what)));
        }
        tokio::time::sleep(self.pause).await;
        Ok(())
    }
}

/// Reads changes.
pub(super) struct Reader {
    changes: BoxStream<'static, Change>,
    patience: Duration,
}

impl Reader {
    pub(super) async fn next(&mut self) -> Part<Change> {
        match tokio::time::timeout(self.patience, self.changes.next()).await {
            Ok(Some(change)) => Ok(change),
            Ok(None) => Err(Problem::new("the stream of changes ended")),
            Err(_) => Err(Problem::new("no change came")),
        }
    }

    /// Reads on until there is this change, or the word that some were missed.
    pub(super) async fn hears(&mut self, change: Change, of: &str) -> Part {
        let until = Instant::now() + self.patience;
        while Instant::now() < until {
            match tokio::time::timeout_at(until.into(), self.changes.next()).await {
                Ok(Some(Change::Resync)) => return Ok(()),
                Ok(Some(heard)) if heard == change => return Ok(()),
                Ok(Some(_)) => {}
                Ok(None) => return Err(Problem::new("the stream of changes ended")),
                Err(_) => break,
            }
        }
        Err(Problem::new(format!("{change:?} did not follow {of}")))
    }
}

/// A worker's view of the namespace.
#[derive(Clone)]
pub(super) struct Replica(Arc<dyn Store>);

impl Deref for Replica {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Replica {
    /// Creates a task without any limits.
    pub(super) async fn offer(&self, new: NewTask) -> Part<Created> {
        Ok(self.create(new, wide()).await?)
    }

    /// Creates a task that must be new.
    pub(super) async fn accept(&self, new: NewTask) -> Part<TaskRecord> {
        fresh(self.offer(new).await?)
    }

    /// Queues a task.
    pub(super) async fn queue(&self, tool: &str) -> Part<TaskRecord> {
        self.accept(task(tool)).await
    }

    /// Claims all that there is of a tool.
    pub(super) async fn take(&self, lease: Lease, tool: &str) -> Part<Vec<TaskRecord>> {
        Ok(self
            .claim(lease, &[Want::new(tool.into(), MANY)], MANY)
            .await?)
    }

    /// Claims the oldest task of a tool, if any is ready.
    pub(super) async fn try_take_one(&self, lease: Lease, tool: &str) -> Part<Option<TaskRecord>> {
        let claimed = self.claim(lease, &[Want::new(tool.into(), 1)], 1).await?;
        ensure!(claimed.len() <= 1, "a claim of one task gave {claimed:?}");
        Ok(claimed.into_iter().next())
    }

    /// Claims the oldest task of a tool.
    pub(super) async fn take_one(&self, lease: Lease, tool: &str) -> Part<TaskRecord> {
        let claimed = self.try_take_one(lease, tool).await?;
        claimed.ok_or_else(|| Problem::new(format!("no task of the tool `{tool}` was claimed")))
    }

    /// Creates a task and claims it.
    pub(super) async fn start(&self, lease: Lease, new: NewTask) -> Part<TaskRecord> {
        let (id, tool) = (new.id, Arc::clone(&new.tool));
        self.accept(new).await?;
        let record = self.take_one(lease, &tool).await?;
        ensure_eq!(record.id, id);
        Ok(record)
    }

    /// Ends a task with a result, which must be accepted.
    pub(super) async fn complete(&self, record: &TaskRecord, result: &str) -> Part {
        let finished = self.finish(record.id, record.epoch, completed(record, result));
        ensure_eq!(finished.await?, Ok(()));
        Ok(())
    }

    /// Gives a task up for a retry, which must be accepted.
    pub(super) async fn retry(&self, record: &TaskRecord, after: Duration) -> Part {
        let retry = Retry::new(after, "once more", record.revision);
        let released = self.release(record.id, record.epoch, Release::Retry(retry));
        ensure_eq!(released.await?, Ok(()));
        Ok(())
    }

    /// Gives a task up that has not begun, which must be accepted.
    pub(super) async fn give_back(&self, record: &TaskRecord) -> Part {
        let released = self.release(record.id, record.epoch, Release::NotStarted);
        ensure_eq!(released.await?, Ok(()));
        Ok(())
    }

    /// Asks a task to stop that must be there.
    pub(super) async fn cancel(&self, id: TaskId, reason: &str) -> Part<crate::store::CancelAck> {
        let ack = self.request_cancel(id, reason.into()).await?;
        ack.ok_or_else(|| Problem::new("a task to be cancelled was not found"))
    }

    /// Reads a task that must be there.
    pub(super) async fn read(&self, id: TaskId) -> Part<TaskRecord> {
        let found = self.get(id).await?;
        found.ok_or_else(|| Problem::new("a task to be read was not found"))
    }

    /// The ids of what the session owns.
    pub(super) async fn owned(&self, lease: Lease) -> Part<Vec<TaskId>> {
        let beat = self.beat(lease, Vec::new()).await?;
        Ok(beat.owned.iter().map(|owned| owned.id).collect())
    }
}

/// Conditions that let every task in.
pub(super) fn wide() -> Admission {
    Admission::new(MANY, MANY)
}

/// A new session, which lives as long as its case.
pub(super) fn steady() -> Lease {
    Lease::new(SessionId::random(), LONG)
}

/// A task that lives as long as its case.
pub(super) fn task(tool: &str) -> NewTask {
    NewTask::new(TaskId::random(), tool, r#"{"a":1}"#, LONG, LONG)
}

/// A task of this idempotency key; `arguments` is a number.
pub(super) fn keyed(tool: &str, key: &str, arguments: u32) -> NewTask {
    let mut new = task(tool);
    new.key = Some(TaskKey::new(key, fingerprint(tool, arguments)));
    new.arguments = arguments.to_string().into();
    new
}

/// A task that equal ones share.
pub(super) fn shared(tool: &str, arguments: u32) -> NewTask {
    let mut new = task(tool);
    new.dedupe = Some(fingerprint(tool, arguments));
    new.arguments = arguments.to_string().into();
    new
}

/// A task of this concurrency key.
pub(super) fn limited(tool: &str, key: &str, limit: u32) -> NewTask {
    let mut new = task(tool);
    new.concurrency = [ConcurrencyLimit::new(key, limit)].into();
    new
}

pub(super) fn fingerprint(tool: &str, arguments: u32) -> Fingerprint {
    Fingerprint::of(tool, &arguments.into())
}

pub(super) fn completed(record: &TaskRecord, result: &str) -> End {
    End::new(TaskOutcome::Completed(result.into()), record.revision)
}

/// A report of this number, which says so.
pub(super) fn report(record: &TaskRecord, number: u64) -> Report {
    let progress = ProgressState {
        message: Some(format!("report {number}")),
        ..ProgressState::default()
    };
    Report::new(record.id, record.epoch, number, progress, record.revision)
}

/// What a task says about its progress.
pub(super) fn message(record: &TaskRecord) -> Option<&str> {
    record.progress.as_ref()?.message.as_deref()
}

pub(super) fn result(record: &TaskRecord) -> Option<&str> {
    match &record.outcome {
        Some(TaskOutcome::Completed(result)) => Some(result),
        _ => None,
    }
}

pub(super) fn failure(record: &TaskRecord) -> Option<&TaskFailure> {
    match &record.outcome {
        Some(TaskOutcome::Failed(failure)) => Some(failure),
        _ => None,
    }
}

/// The reason for which a task was cancelled.
pub(super) fn cancelled(record: &TaskRecord) -> Option<&str> {
    match &record.outcome {
        Some(TaskOutcome::Cancelled(reason)) => Some(reason),
        _ => None,
    }
}

pub(super) fn fresh(created: Created) -> Part<TaskRecord> {
    match created {
        Created::New(record) => Ok(record),
        other => Err(Problem::new(format!("a new task came to {other:?}"))),
    }
}

pub(super) fn existing(created: Created) -> Part<TaskRecord> {
    match created {
        Created::Existing(record) => Ok(record),
        other => Err(Problem::new(format!("an existing task came to {other:?}"))),
    }
}

pub(super) fn conflict(created: Created) -> Part<TaskId> {
    match created {
        Created::Conflict(id) => Ok(id),
        other => Err(Problem::new(format!("a conflict came to {other:?}"))),
    }
}

pub(super) fn full(created: Created) -> Part<Limit> {
    match created {
        Created::Full(limit) => Ok(limit),
        other => Err(Problem::new(format!(
            "a task beyond a limit came to {other:?}"
        ))),
    }
}

pub(super) fn ids(records: &[TaskRecord]) -> Vec<TaskId> {
    records.iter().map(|record| record.id).collect()
}

/// The same ids in one order, whatever order they come in.
pub(super) fn sorted(mut ids: Vec<TaskId>) -> Vec<TaskId> {
    ids.sort_unstable();
    ids
}

/// Makes calls at the same time.
pub(super) async fn race<T, C>(calls: impl IntoIterator<Item = C>) -> Part<Vec<T>>
where
    T: Send + 'static,
    C: Future<Output = Part<T>> + Send + 'static,
{
    let mut racing: JoinSet<C::Output> = calls.into_iter().collect();
    let mut results = Vec::new();
    while let Some(result) = racing.join_next().await {
        results.push(result.map_err(|error| Problem::new(super::panic_message(error)))??);
    }
    Ok(results)
}
