//! Waking those who wait for a task to change.
//!
//! Wake-ups may come without a change and several changes may give one
//! wake-up; whoever is woken reads again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::task::TaskId;

/// Who waits for which task, in this process.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    topics: Mutex<HashMap<TaskId, watch::Sender<()>>>,
}

/// A wait for one task. Register first, then read, then wait: a change after
/// the registration is never missed.
#[derive(Debug)]
pub(crate) struct Subscription {
    hub: Arc<Hub>,
    id: TaskId,
    changes: watch::Receiver<()>,
}

impl Hub {
    pub(crate) fn subscribe(self: &Arc<Self>, id: TaskId) -> Subscription {
        let changes = self.topics().entry(id).or_default().subscribe();
        Subscription {
            hub: Arc::clone(self),
            id,
            changes,
        }
    }

    /// Wakes those who wait for this task.
    pub(crate) fn wake(&self, id: TaskId) {
        if let Some(topic) = self.topics().get(&id) {
            topic.send_replace(());
        }
    }

    /// Wakes everybody: changes may have been missed.
    pub(crate) fn wake_all(&self) {
        for topic in self.topics().values() {
            topic.send_replace(());
        }
    }

    /// How many tasks somebody waits for.
    #[cfg(test)]
    pub(super) fn watched(&self) -> usize {
        self.topics().len()
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<TaskId, watch::Sender<()>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Completes after the next wake-up since the last one seen.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no wake-up.
    pub(crate) async fn changed(&mut self) {
        // The sender lives as long as this subscription does.
        let _ = self.changes.changed().await;
    }

    /// Whether there was a wake-up since the last one seen.
    pub(crate) fn has_changed(&self) -> bool {
        self.changes.has_changed().unwrap_or(true)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut topics = self.hub.topics();
        if topics
            .get(&self.id)
            .is_some_and(|topic| topic.receiver_count() <= 1)
        {
            topics.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wake_between_registration_and_wait_is_not_lost() {
        let hub = Arc::new(Hub::default());
        let id = TaskId::random();
        let mut subscription = hub.subscribe(id);
        hub.wake(id);
        subscription.changed().await;
    }

    #[tokio::test]
    async fn a_topic_lives_as_long_as_somebody_waits() {
        let hub = Arc::new(Hub::default());
        let id = TaskId::random();
        let first = hub.subscribe(id);
        let second = hub.subscribe(id);
        drop(first);
        assert_eq!(hub.topics().len(), 1);
        drop(second);
        assert_eq!(hub.topics().len(), 0);
    }
}
