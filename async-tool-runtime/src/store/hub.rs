//! Tells the readers of this process what changed.

use futures_core::stream::BoxStream;
use futures_util::stream;
use tokio::sync::broadcast;

use super::Change;

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub(super) use namespaces::Hub;

/// How many changes a slow reader may lag behind before it has to resync.
pub(super) const LAG: usize = 1024;

pub(super) fn stream(sender: &broadcast::Sender<Change>) -> BoxStream<'static, Change> {
    Box::pin(stream::unfold(
        sender.subscribe(),
        |mut receiver| async move {
            let change = match receiver.recv().await {
                Ok(change) => change,
                Err(broadcast::error::RecvError::Lagged(_)) => Change::Resync,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((change, receiver))
        },
    ))
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod namespaces {
    use std::collections::HashMap;
    use std::hash::Hash;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use tokio::sync::broadcast;

    use super::LAG;
    use crate::store::Change;

    /// The namespaces that are open in this process.
    #[derive(Debug)]
    pub(in crate::store) struct Hub<N> {
        open: Mutex<HashMap<N, broadcast::Sender<Change>>>,
    }

    impl<N> Default for Hub<N> {
        fn default() -> Self {
            Self {
                open: Mutex::default(),
            }
        }
    }

    impl<N: Eq + Hash> Hub<N> {
        pub(in crate::store) fn of(&self, namespace: N) -> broadcast::Sender<Change> {
            let mut open = self.open();
            let sender = open
                .entry(namespace)
                .or_insert_with(|| broadcast::Sender::new(LAG));
            sender.clone()
        }

        pub(in crate::store) fn tell(&self, changes: &[(N, Change)]) {
            let open = self.open();
            for (namespace, change) in changes {
                if let Some(sender) = open.get(namespace) {
                    // Nobody listening is no error.
                    let _ = sender.send(*change);
                }
            }
        }

        pub(in crate::store) fn tell_all(&self, change: Change) {
            for sender in self.open().values() {
                let _ = sender.send(change);
            }
        }

        fn open(&self) -> MutexGuard<'_, HashMap<N, broadcast::Sender<Change>>> {
            self.open.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
