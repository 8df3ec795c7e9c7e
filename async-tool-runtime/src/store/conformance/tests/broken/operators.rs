//! What operators do, broken.

use super::{Broken, Flaw, Namespace, lock};
use crate::store::*;

impl Broken {
    pub(super) async fn flawed_namespaces(&self) -> Result<Vec<String>, StoreError> {
        let mut names = self.store.namespaces().await?;
        match self.flaw {
            Some(Flaw::OpenIsListed) => {
                names = lock(&self.opened).keys().cloned().collect();
                names.sort();
            }
            Some(Flaw::NoneIsListed) => names.clear(),
            Some(Flaw::ListedInDisorder) => names.reverse(),
            _ => {}
        }
        Ok(names)
    }
}

impl Namespace {
    pub(super) async fn flawed_purge(&self, id: TaskId) -> Result<Option<Purged>, StoreError> {
        let Some(record) = self.inner.get(id).await? else {
            let unknown = self.has(Flaw::PurgeOfTheUnknown);
            return Ok(unknown.then_some(Purged::Gone));
        };
        match self.flaw {
            Some(Flaw::PurgeDoesNothing) => return Ok(Some(record.purge())),
            Some(Flaw::PurgeEndsTheQueued) if record.status == Status::Queued => {
                self.inner.request_cancel(id, "purged".into()).await?;
            }
            Some(Flaw::PurgeOfTheLingering) => {
                let _ = self
                    .inner
                    .release(id, record.epoch, Release::Stopped)
                    .await?;
            }
            Some(Flaw::PurgeBeforeTheNotice) => {
                if let Some(told) = Told::of(&record, "null") {
                    self.inner.settle_notice(told).await?;
                }
            }
            _ => {}
        }
        self.inner.purge(id).await
    }

    pub(super) async fn flawed_stats(&self) -> Result<Stats, StoreError> {
        let mut stats = self.inner.stats().await?;
        match self.flaw {
            Some(Flaw::StatsWithoutBackOff) => {
                let mut queued = Filter::of(Owner::Anybody);
                queued.status = Some(Status::Queued);
                for record in self.inner.list(&queued, None, 100).await? {
                    let of = |queue: &&mut QueueStats| queue.tool == record.tool;
                    if record.not_before.is_some()
                        && let Some(queue) = stats.queues.iter_mut().find(of)
                    {
                        queue.queued -= 1;
                    }
                }
                stats.queues.retain(|queue| queue.queued > 0);
            }
            Some(Flaw::LingeringIsRunning) => {
                stats.running = stats.sessions.iter().map(|session| session.owned).sum();
            }
            Some(Flaw::StatsWithoutNotices) => stats.notices = 0,
            Some(Flaw::BeatsStay) => {
                for session in &mut stats.sessions {
                    session.beats = 1;
                }
            }
            Some(Flaw::OldestIsNewest) => {
                for queue in &mut stats.queues {
                    queue.oldest = stats.at;
                }
            }
            _ => {}
        }
        Ok(stats)
    }
}
