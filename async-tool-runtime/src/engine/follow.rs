//! Following a task: a view after each of its changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until};

use super::query::RE_READ_MILLIS;
use super::watch::Subscription;
use super::{Asker, Engine, View};
use crate::refusal::Refusal;
use crate::task::TaskId;

/// How far apart two changes are told at least.
const PAUSE: Duration = Duration::from_secs(1);

/// A task that somebody follows.
pub(crate) struct Following {
    engine: Arc<Engine>,
    id: TaskId,
    changes: Subscription,
    /// What was told last.
    seen: View,
    not_before: Instant,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Engine {
    /// Follows a task from what it is now.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the asker may not see the task, or too many tasks are
    /// being followed.
    pub(crate) async fn follow_task(
        self: &Arc<Self>,
        asker: Asker<'_>,
        id: TaskId,
    ) -> Result<Following, Refusal> {
        let changes = self.hub.subscribe(id);
        let seen = self.authorised(asker, id).await?;
        let permit = Arc::clone(&self.followers)
            .try_acquire_owned()
            .map_err(|_| Refusal::TooManySubscriptions)?;
        Ok(Following {
            engine: Arc::clone(self),
            id,
            changes,
            seen,
            not_before: Instant::now(),
            over: false,
            _permit: permit,
        })
    }

    /// Completes when the engine has stopped: nothing changes here any more.
    pub(crate) async fn has_stopped(&self) {
        self.stopped.cancelled().await;
    }
}

impl Following {
    /// What was told last: at first, the task as it was when this began.
    pub(crate) fn view(&self) -> &View {
        &self.seen
    }

    /// The task after it has changed: at most once a second, but always after
    /// its last change. None when nothing can follow: it had ended, is gone, or
    /// the engine has stopped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no change.
    pub(crate) async fn next(&mut self) -> Option<View> {
        while !self.over && !self.seen.is_done() {
            tokio::select! {
                () = sleep_until(self.not_before) => {}
                () = self.engine.stopped.cancelled() => {}
            }
            // Before the read, so that what is told before the end is the end.
            let stopped = self.engine.stopped.is_cancelled();
            match self.engine.view(self.id).await {
                Ok(Some(view)) if view.differs(&self.seen) => {
                    let mut told = view.clone();
                    self.engine.explain(&mut told).await;
                    self.seen = view;
                    self.not_before = Instant::now() + PAUSE;
                    return Some(told);
                }
                Ok(Some(_)) => {}
                Ok(None) => self.over = true,
                Err(error) => tracing::warn!(%error, "could not read a task that is followed"),
            }
            self.over |= stopped;
            if !self.over {
                self.changed().await;
            }
        }
        None
    }

    /// Completes when it is time to look again. Progress within a step wakes
    /// nobody, and notifications may get lost.
    async fn changed(&mut self) {
        let live = self.engine.worker.get(self.id);
        let pause = match live {
            Some(live) if !live.waiting.is_stored() => PAUSE,
            _ => Duration::from_millis(fastrand::u64(RE_READ_MILLIS)),
        };
        tokio::select! {
            () = self.changes.changed() => {}
            () = sleep(pause) => {}
            () = self.engine.stopped.cancelled() => {}
        }
    }
}

impl View {
    /// Whether a client sees something else than before.
    fn differs(&self, before: &Self) -> bool {
        self.revision != before.revision
            || self.record.status != before.record.status
            || self.progress != before.progress
    }
}
