//! When to look again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_tool_runtime::TaskId;
use async_tool_runtime::store::{Change, Store};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::time::{Instant, sleep_until};

/// At most so often is read, however much happens.
const RESPITE: Duration = Duration::from_millis(250);

/// How many tasks are remembered between two readings. Of more it is not known
/// that they changed; those that have not ended are read anyway.
const REMEMBERED: usize = 1000;

/// Hears of changes.
pub(super) struct Ear {
    store: Arc<dyn Store>,
    changes: BoxStream<'static, Change>,
    heard: HashSet<TaskId>,
}

impl Ear {
    /// Hears of what happens from now on.
    pub(super) fn new(store: &Arc<dyn Store>) -> Self {
        Self {
            store: Arc::clone(store),
            changes: store.changes(),
            heard: HashSet::new(),
        }
    }

    /// The tasks of which a change was told.
    pub(super) fn heard(&self) -> &HashSet<TaskId> {
        &self.heard
    }

    pub(super) fn forget(&mut self) {
        self.heard.clear();
    }

    /// Until something has changed, or a while has passed.
    pub(super) async fn wait(&mut self, interval: Duration) {
        let respite = Instant::now() + RESPITE;
        let mut until = Instant::now() + interval;
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                change = self.changes.next() => {
                    let Some(change) = change else {
                        // Followed again, but not at once.
                        self.changes = self.store.changes();
                        return sleep_until(until).await;
                    };
                    self.hear(change);
                    until = until.min(respite);
                }
            }
        }
    }

    fn hear(&mut self, change: Change) {
        if let Change::Task(id) | Change::Cancel(id) = change
            && self.heard.len() < REMEMBERED
        {
            self.heard.insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{completed, empty};
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_change_is_heard_after_a_respite() {
        let place = empty().await;
        let mut ear = Ear::new(&place.store);
        let ended = place.ended("build", completed()).await;
        let begun = Instant::now();
        ear.wait(INTERVAL).await;
        assert_eq!(begun.elapsed(), RESPITE);
        assert_eq!(ear.heard().iter().collect::<Vec<_>>(), [&ended]);
        ear.forget();
        ear.wait(INTERVAL).await;
        assert_eq!(begun.elapsed(), RESPITE + INTERVAL);
        assert!(ear.heard().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_ends_is_followed_again() {
        let place = empty().await;
        let mut ear = Ear::new(&place.store);
        ear.changes = futures_util::stream::empty().boxed();
        let begun = Instant::now();
        ear.wait(INTERVAL).await;
        assert_eq!(begun.elapsed(), INTERVAL);
        let ended = place.ended("build", completed()).await;
        ear.wait(INTERVAL).await;
        assert!(ear.heard().contains(&ended));
    }
}
