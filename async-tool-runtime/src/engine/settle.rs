//! Telling the store what became of a task, until it has heard.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use super::stop::Cause;
use super::supervise::Verdict;
use super::worker::Live;
use crate::steps::Pauses;
use crate::store::{
    AttemptEnd, End, Epoch, Outcome, Refused, Release, Retry, Store, StoreError, TaskFailure,
    TaskId,
};

/// A larger result is put ahead of the end, so that finishing is quick.
const PUT_AHEAD: usize = 256 * 1024;

impl Engine {
    /// Writes what became of a task. It tries as long as the engine runs: the
    /// epoch keeps a late write from doing harm, and a result is too dear to
    /// be lost because the store was away for a while.
    pub(super) async fn settle(&self, live: &Live, verdict: Verdict, lingers: bool) {
        let revision = live.revision(live.progress.state().step_changes);
        let log = live.log.unstored();
        let (id, epoch) = (live.record.id, live.record.epoch);
        match verdict {
            Verdict::End(outcome) => {
                let history = live.history.close_with(&outcome);
                let mut end = End::new(outcome.clone(), revision).with_log(log);
                end.lingers = lingers;
                end.history = history;
                let written = self.until_written(id, |store| finish(store, id, epoch, end.clone()));
                if written.await {
                    self.tell_end(&live.record, &outcome, live.counts());
                }
                self.announce(&live.record);
            }
            Verdict::Again(pause, message) => {
                let history = live.history.close(AttemptEnd::Retried, Some(&message));
                let mut retry = Retry::new(pause, message, revision).with_log(log);
                retry.history = history;
                let release = Release::Retry(retry);
                let written = self.until_written(id, |store| {
                    let release = release.clone();
                    async move { store.release(id, epoch, release).await }
                });
                if written.await {
                    self.tell_requeue(live);
                }
                // The end of its back-off may be the next thing to happen.
                self.sweep.notify_one();
            }
        }
    }

    /// Frees what an ended task kept while its body went on.
    pub(super) async fn let_go(&self, live: &Live) {
        let (id, epoch) = (live.record.id, live.record.epoch);
        self.until_written(id, |store| async move {
            store.release(id, epoch, Release::Stopped).await
        })
        .await;
    }

    /// Whether it was written, and not refused.
    async fn until_written<F>(&self, id: TaskId, write: impl Fn(Arc<dyn Store>) -> F) -> bool
    where
        F: Future<Output = Result<Result<(), Refused>, StoreError>> + Send + 'static,
    {
        let mut pauses = Pauses::default();
        loop {
            match Self::detached(write(Arc::clone(&self.store))).await {
                Ok(Ok(())) => return true,
                Ok(Err(refused)) => {
                    tracing::warn!(?refused, task_id = %id, "somebody else has this task by now");
                    return false;
                }
                Err(error) => {
                    tracing::warn!(%error, task_id = %id, "could not write what became of a task");
                }
            }
            if self
                .stopped
                .run_until_cancelled(pauses.pause())
                .await
                .is_none()
            {
                return false;
            }
        }
    }

    /// Gives back what was claimed and cannot be started.
    pub(super) async fn give_back(&self, id: TaskId, epoch: Epoch) {
        self.release(id, epoch, Release::NotStarted).await;
    }

    /// One try: whoever asks comes again, or the lease runs out.
    pub(super) async fn release(&self, id: TaskId, epoch: Epoch, release: Release) {
        let store = Arc::clone(&self.store);
        let released = Self::detached(async move { store.release(id, epoch, release).await }).await;
        match released {
            // One that was to be cancelled has ended by that.
            Ok(_) => self.announce_any(),
            Err(error) => {
                tracing::warn!(%error, task_id = %id, "could not give a task back");
            }
        }
    }

    /// Settles an attempt that was stopped because the lease seemed lost. It
    /// may have had effects: it is repeated only where the tool allows that
    /// (invariant 7).
    pub(super) async fn settle_forsaken(&self, live: &Live) {
        let written = if may_be_repeated(live) {
            let retry = Retry::new(Duration::ZERO, LOST_FOR_A_WHILE, live.shown());
            let mut retry = retry.with_log(live.log.unstored());
            let end = AttemptEnd::Interrupted;
            retry.history = live.history.close(end, Some(LOST_FOR_A_WHILE));
            let release = Release::Retry(retry);
            let (id, epoch) = (live.record.id, live.record.epoch);
            let store = Arc::clone(&self.store);
            let released =
                Self::detached(async move { store.release(id, epoch, release).await }).await;
            if let Ok(Ok(())) = released {
                self.tell_requeue(live);
            }
            released
        } else {
            self.finish_once(live, interrupted(), false).await
        };
        match written {
            Ok(_) => {
                self.worker.forget(live);
                self.hub.wake(live.record.id);
                self.announce(&live.record);
            }
            // The next beat tries again.
            Err(error) => {
                tracing::warn!(%error, task_id = %live.record.id, "could not settle a task");
            }
        }
    }

    /// The same for an attempt whose body cannot be stopped. Its caller must
    /// not wait for that; only if it is to be repeated it has to, until it
    /// would end anyway.
    pub(super) async fn settle_lingering(&self, live: &Live, cancel: Option<Arc<str>>) {
        let outcome = match cancel {
            Some(reason) => Outcome::Cancelled(reason),
            None if Instant::now() >= live.deadline => match Cause::Deadline.outcome() {
                Some(outcome) => outcome,
                None => return,
            },
            None if may_be_repeated(live) => return,
            None => interrupted(),
        };
        match self.finish_once(live, outcome, true).await {
            Ok(_) => {
                self.hub.wake(live.record.id);
                self.announce(&live.record);
            }
            // The next beat tries again.
            Err(error) => {
                tracing::warn!(%error, task_id = %live.record.id, "could not settle a task");
            }
        }
    }

    async fn finish_once(
        &self,
        live: &Live,
        outcome: Outcome,
        lingers: bool,
    ) -> Result<Result<(), Refused>, StoreError> {
        let (id, epoch) = (live.record.id, live.record.epoch);
        let history = live.history.close_with(&outcome);
        let mut end = End::new(outcome.clone(), live.shown()).with_log(live.log.unstored());
        end.lingers = lingers;
        end.history = history;
        let store = Arc::clone(&self.store);
        let finished = Self::detached(async move { store.finish(id, epoch, end).await }).await;
        if let Ok(Ok(())) = finished {
            self.tell_end(&live.record, &outcome, live.counts());
        }
        finished
    }
}

const LOST_FOR_A_WHILE: &str =
    "its worker lost the store for a while; the task will be started again";

fn may_be_repeated(live: &Live) -> bool {
    live.record.attempt < live.record.max_attempts
}

fn interrupted() -> Outcome {
    Outcome::Failed(Box::new(TaskFailure::interrupted(
        "the worker lost the store while it executed the task; \
         what it had done by then may have had effects",
    )))
}

async fn finish(
    store: Arc<dyn Store>,
    id: TaskId,
    epoch: Epoch,
    mut end: End,
) -> Result<Result<(), Refused>, StoreError> {
    if let Outcome::Completed(result) = &mut end.outcome
        && result.len() > PUT_AHEAD
    {
        let result = std::mem::take(result);
        if let Err(refused) = store.put_result(id, epoch, result).await? {
            return Ok(Err(refused));
        }
        end.ahead = true;
    }
    store.finish(id, epoch, end).await
}
