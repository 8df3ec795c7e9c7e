//! Reading tasks, waiting for them, cancelling them.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use super::clock::FAR;
use super::stop::Cause;
use super::{Engine, View};
use crate::log::tail;
use crate::refusal::Refusal;
use crate::store::{CancelAck, Cursor, Filter, LogLine, Outcome, StoreError};
use crate::task::{Principal, TaskId, TaskRecord};

/// How long `cancel` waits for the end.
const CANCEL_WAIT: Duration = Duration::from_secs(2);
/// A waiter reads again after so many milliseconds at least: notifications
/// may get lost. How many is left to chance, so that those who began to wait at
/// the same moment do not all read at the same moment.
pub(super) const RE_READ_MILLIS: RangeInclusive<u64> = 1500..=2500;
/// How often a reporter is offered a view.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// For how long and for what to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) duration: Duration,
    pub(crate) until: Until,
    /// The revision that the caller has seen.
    pub(crate) since: Option<u64>,
}

/// What a wait is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The end, or a question.
    Done,
    /// Any change of status or step as well.
    Step,
    /// The end alone.
    End,
    /// The end, or that it was asked for.
    Over,
    /// The same, or a question.
    Heard,
}

impl Until {
    /// Whether there is nothing to wait for, whatever the time.
    fn is_over(self, view: &View) -> bool {
        match self {
            Self::Done | Self::Step => view.is_settled(),
            Self::End => view.is_done(),
            Self::Over => view.is_done() || view.record.cancel.is_some(),
            Self::Heard => view.is_settled() || view.record.cancel.is_some(),
        }
    }
}

/// Is told how a task goes on while somebody waits for it.
pub(crate) trait Reporter: Send {
    /// The task at this moment.
    fn report<'a>(&'a mut self, view: &'a View) -> BoxFuture<'a, ()>;
}

/// Whose request it is and about tasks of which tool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// None: of any.
    pub(crate) tool: Option<&'a str>,
    pub(crate) principal: Option<&'a Principal>,
}

impl Asker<'_> {
    /// A task of somebody else or of another tool does not exist for them.
    pub(super) fn may_see(&self, record: &TaskRecord) -> bool {
        let of_tool = self.tool.is_none_or(|tool| *tool == *record.tool);
        of_tool && record.principal.as_ref() == self.principal
    }
}

impl Engine {
    /// The task, as soon as what `wait` is for has happened or its time is
    /// over.
    pub(crate) async fn status(
        self: &Arc<Self>,
        asker: Asker<'_>,
        id: TaskId,
        wait: Wait,
        reporter: Option<&mut dyn Reporter>,
    ) -> Result<View, Refusal> {
        let changes = self.hub.subscribe(id);
        let mut view = self.authorised(asker, id).await?;
        if !wait.until.is_over(&view) && !wait.duration.is_zero() {
            let waited = self.wait(id, wait, reporter).await?;
            view = waited.ok_or(Refusal::TaskNotFound)?;
        }
        self.explain(&mut view).await;
        self.remember(&view, changes);
        Ok(view)
    }

    /// Asks a task to stop and waits a little for its end.
    pub(crate) async fn cancel(
        self: &Arc<Self>,
        asker: Asker<'_>,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<View, Refusal> {
        let view = self.request_cancel(asker, id, reason).await?;
        if view.is_done() {
            return Ok(view);
        }
        let wait = Wait {
            duration: CANCEL_WAIT,
            until: Until::End,
            since: None,
        };
        self.wait(id, wait, None)
            .await?
            .ok_or(Refusal::TaskNotFound)
    }

    /// Asks a task to stop, and waits for nothing; the task as it was before.
    pub(crate) async fn request_cancel(
        self: &Arc<Self>,
        asker: Asker<'_>,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<View, Refusal> {
        let view = self.authorised(asker, id).await?;
        if view.is_done() {
            return Ok(view);
        }
        let store = Arc::clone(&self.store);
        let sent = Arc::clone(&reason);
        let asked = Self::detached(async move { store.request_cancel(id, sent).await })
            .await?
            .ok_or(Refusal::TaskNotFound)?;
        if asked == CancelAck::Ended {
            self.tell_end(&view.record, &Outcome::Cancelled(Arc::clone(&reason)), true);
        }
        if let Some(live) = self.worker.get(id) {
            live.stop.fire(Cause::Cancelled(reason));
        }
        self.hub.wake(id);
        Ok(view)
    }

    /// The last lines of the log of a task that the caller may see.
    pub(crate) async fn log(&self, id: TaskId, limit: usize) -> Result<Vec<LogLine>, StoreError> {
        let live = self.worker.get(id);
        // Read first: what is stored meanwhile is then in both parts.
        let unstored = live.map(|live| live.log.unstored()).unwrap_or_default();
        let store = Arc::clone(&self.store);
        let stored = Self::detached(async move { store.log(id, limit).await }).await?;
        Ok(tail(stored, unstored, limit))
    }

    /// A page of tasks, the newest first, and where the next one begins.
    pub(crate) async fn list(
        &self,
        filter: Filter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<View>, Option<Cursor>), StoreError> {
        let store = Arc::clone(&self.store);
        let listed =
            Self::detached(async move { store.list(&filter, after, limit + 1).await }).await?;
        let more = listed.len() > limit;
        let mut page: Vec<View> = listed
            .into_iter()
            .take(limit)
            .map(|record| self.seen(record))
            .collect();
        for view in &mut page {
            self.explain(view).await;
        }
        let next = page.last().map(|view| Cursor::of(&view.record));
        Ok((page, next.filter(|_| more)))
    }

    pub(super) async fn authorised(&self, asker: Asker<'_>, id: TaskId) -> Result<View, Refusal> {
        let view = self.view(id).await?.ok_or(Refusal::TaskNotFound)?;
        if asker.may_see(&view.record) {
            Ok(view)
        } else {
            Err(Refusal::TaskNotFound)
        }
    }

    /// Waits for a task; `None` if it is gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn wait(
        self: &Arc<Self>,
        id: TaskId,
        wait: Wait,
        mut reporter: Option<&mut dyn Reporter>,
    ) -> Result<Option<View>, StoreError> {
        // One waiter too many gets its answer at once: it may ask again.
        let Ok(_permit) = self.waiters.try_acquire() else {
            tracing::warn!("too many waiting calls; answering at once");
            return self.view(id).await;
        };
        let _counted = self.telemetry.meters.waiting();
        let mut changes = self.hub.subscribe(id);
        let started = Instant::now();
        let end = started + wait.duration.min(FAR);
        let mut next_report = started;
        let mut change_answers: Option<(u64, Instant)> = None;
        loop {
            let Some(view) = self.view(id).await? else {
                return Ok(None);
            };
            let now = Instant::now();
            // A change is answered at most once per advised pause, so that a
            // chatty task does not wake its caller in a storm.
            let (seen, not_before) = *change_answers.get_or_insert_with(|| {
                let pause = view.poll_after().unwrap_or_default();
                (wait.since.unwrap_or(view.revision), started + pause)
            });
            let changed = wait.until == Until::Step && view.revision > seen;
            if wait.until.is_over(&view)
                || now >= end
                || self.is_draining()
                || (changed && now >= not_before)
            {
                return Ok(Some(view));
            }
            let mut wake = end.min(now + Duration::from_millis(fastrand::u64(RE_READ_MILLIS)));
            if changed {
                wake = wake.min(not_before);
            }
            if let Some(reporter) = &mut reporter {
                if now >= next_report {
                    reporter.report(&view).await;
                    next_report = Instant::now() + REPORT_INTERVAL;
                }
                wake = wake.min(next_report);
            }
            tokio::select! {
                () = changes.changed() => {}
                () = sleep_until(wake) => {}
                () = self.draining.cancelled() => {}
            }
        }
    }
}
