//! Telling those outside what became of tasks.
//!
//! A notice is recorded in the step that gives reason for it, and is anybody's
//! to tell: whoever claims it has a while, and after that others try. So it is
//! told at least once, whatever dies meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Engine, View};
use crate::steps::Pauses;
use crate::store::{NewTask, TaskId, TaskRecord, Timestamp, Told};
use crate::webhook::{Hooks, Outcome, Tried};

/// Most notices that a worker tells at once.
const AT_ONCE: usize = 64;
/// Most that it claims at once: with each comes a record with its result.
const BATCH: usize = 8;
/// Longest that the end of a server waits for notices; what is not told then is
/// told by another worker, or at the next start.
const LAST: Duration = Duration::from_secs(5);

/// How much is to be told, as far as this worker knows.
#[derive(Debug)]
pub(super) struct Notices(watch::Sender<Load>);

#[derive(Debug, Clone, Copy, Default)]
struct Load {
    /// Counts when there may have been something.
    announced: u64,
    /// Up to where the store has been asked.
    looked: u64,
    /// Claimed, and being told.
    telling: usize,
}

impl Load {
    fn has_more(self) -> bool {
        self.announced > self.looked
    }
}

impl Default for Notices {
    fn default() -> Self {
        // An earlier process may have left something.
        Self(watch::Sender::new(Load {
            announced: 1,
            ..Load::default()
        }))
    }
}

impl Notices {
    pub(super) fn announce(&self) {
        self.0.send_modify(|load| load.announced += 1);
    }

    /// Waits for something to tell and somebody to do it; how much may be
    /// claimed, and what is looked for.
    async fn room(&self) -> (usize, u64) {
        let mut load = self.0.subscribe();
        let ready = |load: &Load| load.has_more() && load.telling < AT_ONCE;
        // The sender is not dropped while `self` is borrowed.
        let _ = load.wait_for(ready).await;
        let load = *load.borrow();
        (
            BATCH.min(AT_ONCE.saturating_sub(load.telling)),
            load.announced,
        )
    }

    /// Completes when everything has been told that can be now.
    async fn idle(&self) {
        let mut load = self.0.subscribe();
        let idle = |load: &Load| load.telling == 0 && !load.has_more();
        let _ = load.wait_for(idle).await;
    }
}

/// A notice that is being told.
struct Telling(Arc<Engine>);

impl Telling {
    fn begin(engine: &Arc<Engine>) -> Self {
        engine.notices.0.send_modify(|load| load.telling += 1);
        Self(Arc::clone(engine))
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.notices.0.send_modify(|load| load.telling -= 1);
    }
}

impl Engine {
    /// Has a new task told to whom it concerns, if there is anybody.
    pub(super) fn have_told(&self, mut new: NewTask) -> NewTask {
        if let Some(hooks) = &self.config.webhooks {
            let origin = new.origin.as_deref();
            let callback = origin.is_some_and(|origin| origin.callback_url.is_some());
            new.notify = callback || hooks.have_endpoints();
            if new.notify {
                new.retention = new.retention.max(hooks.retention());
            }
        }
        new
    }

    /// Tells what is due until the engine stops.
    pub(super) async fn tell_forever(self: Arc<Self>, hooks: Arc<Hooks>) {
        let mut pauses = Pauses::default();
        loop {
            let (room, looking) = self.notices.room().await;
            let (store, pause) = (Arc::clone(&self.store), hooks.pause());
            let claimed = Self::detached(async move { store.claim_notices(pause, room).await });
            let records = match claimed.await {
                Ok(records) => records,
                Err(error) => {
                    tracing::warn!(%error, "could not read what is to be told of tasks");
                    pauses.pause().await;
                    continue;
                }
            };
            pauses = Pauses::default();
            if records.len() < room {
                self.notices.0.send_modify(|load| load.looked = looking);
            }
            for record in records {
                let telling = Telling::begin(&self);
                let hooks = Arc::clone(&hooks);
                tokio::spawn(async move {
                    let engine = &telling.0;
                    let told = engine.tell_one(&hooks, record);
                    engine.stopped.run_until_cancelled(told).await;
                });
            }
        }
    }

    /// Tells one notice, and keeps what came of it.
    async fn tell_one(&self, hooks: &Hooks, record: TaskRecord) {
        let Some(due) = record.notice.as_ref().and_then(|notice| notice.due) else {
            return;
        };
        // The store has counted the pause from its own clock, which needs not be
        // this machine's.
        let pause = u64::try_from(hooks.pause().as_millis()).unwrap_or(u64::MAX);
        let claimed = Timestamp(due.0.saturating_sub(pause));
        let entry = self.catalog.get(&record.tool).map(AsRef::as_ref);
        let view = View::stored(record, claimed);
        let came = hooks.tell(&view, entry, claimed, &self.clock).await;
        for tried in &came.tried {
            self.observe(view.record.id, tried);
        }
        let Some(mut told) = Told::of(&view.record, came.state) else {
            return;
        };
        told.again = came.again;
        let id = told.id;
        let settling = async {
            let mut pauses = Pauses::default();
            loop {
                let (store, told) = (Arc::clone(&self.store), told.clone());
                match Self::detached(async move { store.settle_notice(told).await }).await {
                    Ok(ours) => break ours,
                    Err(error) => {
                        tracing::warn!(%error, task_id = %id, "could not keep what was told");
                    }
                }
                pauses.pause().await;
            }
        };
        match tokio::time::timeout(hooks.pause(), settling).await {
            Ok(true) if told.again.is_some() => {
                // The next try may be the next thing to happen.
                self.sweep.notify_one();
            }
            Ok(true) => {}
            Ok(false) => tracing::debug!(task_id = %id, "there is more to tell by now"),
            Err(_) => tracing::warn!(task_id = %id, "what was told will be told again"),
        }
    }

    /// Waits a while for what is being told, before the engine stops.
    pub(super) async fn tell_the_last(&self, longest: Duration) {
        if self.config.webhooks.is_some() {
            let _ = tokio::time::timeout(longest.min(LAST), self.notices.idle()).await;
        }
    }

    /// Tells operators what came of a message.
    fn observe(&self, id: TaskId, tried: &Tried) {
        let (event, tries) = (tried.event.as_str(), tried.tries);
        let receiver = &*tried.target;
        self.telemetry.meters.webhook(event, tried.outcome.as_str());
        let error = tried.error.as_deref().unwrap_or_default();
        match tried.outcome {
            Outcome::Delivered => {
                tracing::debug!(task_id = %id, receiver, event, tries, "told of a task");
            }
            Outcome::Pending => {
                tracing::info!(
                    task_id = %id, receiver, event, tries, error,
                    "could not tell of a task; it will be tried again"
                );
            }
            Outcome::GivenUp => {
                tracing::warn!(
                    task_id = %id, receiver, event, tries, error,
                    "gave up telling of a task"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::Clock;
    use crate::store::{Lease, MemoryStore, OpenStore, SessionId, Status, Want};
    use crate::test_tool::SleepTool;
    use crate::testing::TestServer;
    use crate::{AsyncTools, Registry};

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_by_being_given_back_is_looked_for_at_once() {
        let store = MemoryStore::with_clock(Clock::tokio());
        let namespace = store.open("default").await.expect("memory");
        let builder = AsyncTools::builder().registry(Registry::new().with(SleepTool));
        let server = TestServer::start(builder.store(store).slots(0)).await;
        let task = server.call("sleep_initiate", json!({"seconds": 1})).await;
        let lease = Lease::new(SessionId::random(), Duration::from_secs(60));
        let wants = [Want::new("sleep".into(), 1)];
        let claimed = namespace.claim(lease, &wants, 1).await.expect("memory");
        let (id, epoch) = (claimed[0].id, claimed[0].epoch);
        assert_eq!(id.to_string(), task.id());
        let asked = namespace.request_cancel(id, "enough".into()).await;
        asked.expect("memory").expect("it is there");

        let engine = &server.tools().shared().server.engine;
        let announced = || engine.notices.0.borrow().announced;
        let before = announced();
        engine.give_back(id, epoch).await;
        let record = namespace.get(id).await.expect("memory");
        assert_eq!(record.expect("it is there").status, Status::Cancelled);
        assert!(announced() > before);
    }
}
