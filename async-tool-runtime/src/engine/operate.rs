//! What operators see and do: with tasks of whoever it is.

use std::sync::Arc;

use futures_core::stream::BoxStream;

use super::{Asker, CircuitHealth, Engine, Subscription, View};
use crate::refusal::Refusal;
use crate::store::{
    Change, Cursor, Filter, LogLine, Owner, Stats, Status, StoreError, TaskId, Timestamp,
};

/// All that is known of a task.
pub(crate) struct Inspected {
    /// With the history of an attempt that runs here.
    pub(crate) view: View,
    /// The last lines of its log.
    pub(crate) log: Vec<LogLine>,
}

impl Engine {
    /// A page of tasks in any of these statuses, the newest first, and where the
    /// next one begins.
    pub(crate) async fn list_for_operators(
        &self,
        tool: Option<&Arc<str>>,
        statuses: &[Status],
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<View>, Option<Cursor>), StoreError> {
        let mut found = Vec::new();
        let mut more = false;
        // A store filters by one status, or none.
        let filters = if statuses.len() == Status::ALL.len() {
            vec![None]
        } else {
            statuses.iter().copied().map(Some).collect()
        };
        for status in filters {
            let filter = Filter {
                tool: tool.cloned(),
                status,
                ..Filter::of(Owner::Anybody)
            };
            let (views, next) = self.list(filter, after, limit).await?;
            found.extend(views);
            more |= next.is_some();
        }
        found.sort_by_key(|view| std::cmp::Reverse(Cursor::of(&view.record)));
        // It may have changed its status between two of the lists.
        found.dedup_by_key(|view| view.record.id);
        more |= found.len() > limit;
        found.truncate(limit);
        let next = found.last().map(|view| Cursor::of(&view.record));
        Ok((found, next.filter(|_| more)))
    }

    /// Circuit breakers of this worker that are not closed.
    pub(crate) fn tripped_circuits(&self) -> Vec<CircuitHealth> {
        self.circuits.not_closed()
    }

    /// A task, whoever owns it; none if it is not there.
    pub(crate) async fn inspect(&self, id: TaskId) -> Result<Option<Inspected>, StoreError> {
        let Some(mut view) = self.view(id).await? else {
            return Ok(None);
        };
        self.explain(&mut view).await;
        let live = self.worker.get(id);
        if let Some(live) = live.filter(|live| live.record.epoch == view.record.epoch) {
            view.record.history = Some(live.history.text());
        }
        let log = self.log(id, LogLine::KEPT).await?;
        Ok(Some(Inspected { view, log }))
    }

    /// A task as lists show it; none if it is not there.
    pub(crate) async fn listed(&self, id: TaskId) -> Result<Option<View>, StoreError> {
        let store = Arc::clone(&self.store);
        let record = Self::detached(async move { store.get(id).await }).await?;
        Ok(record.map(|record| self.seen(record)))
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Asks a task to stop, whoever owns it, and waits a little for its end.
    pub(crate) async fn cancel_for_operators(
        self: &Arc<Self>,
        id: TaskId,
        reason: Arc<str>,
    ) -> Result<View, Refusal> {
        let view = self.view(id).await?.ok_or(Refusal::TaskNotFound)?;
        // On behalf of its owner, who alone is asked for otherwise.
        let owner = Asker {
            tool: None,
            principal: view.record.principal.as_ref(),
        };
        self.cancel(owner, id, reason).await
    }

    /// How much is in the store.
    pub(crate) async fn stats(&self) -> Result<Stats, StoreError> {
        let store = Arc::clone(&self.store);
        Self::detached(async move { store.stats().await }).await
    }

    /// What anybody does in the store, from now on.
    pub(crate) fn store_changes(&self) -> BoxStream<'static, Change> {
        self.store.changes()
    }

    /// Changes of a task, as far as this process hears of them.
    pub(crate) fn task_changes(&self, id: TaskId) -> Subscription {
        self.hub.subscribe(id)
    }
}
