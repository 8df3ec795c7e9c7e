//! A thread for the connections of a store.
//!
//! What drives them must not be one of the application's threads: a tool that
//! blocks those would cost the worker its lease. And a call that its caller
//! drops goes on here to its end.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::{self, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::StoreError;

/// A runtime on a thread of its own. It ends with the last clone, and with it
/// all that was spawned on it.
#[derive(Debug, Clone)]
pub(super) struct Driver {
    handle: Handle,
    _end: Arc<DropGuard>,
}

impl Driver {
    pub(super) fn start(name: &str) -> Result<Self, StoreError> {
        let failed =
            |error| StoreError::new("could not start the thread of the store").with_source(error);
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || runtime.block_on(ended.cancelled()))
            .map_err(failed)?;
        Ok(Self {
            handle,
            _end: Arc::new(end),
        })
    }

    /// Runs a call, to its end even if nobody waits for it any more.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        // The thread must not end before the call does.
        let this = self.clone();
        let called = self.handle.spawn(async move {
            let answer = call.await;
            drop(this);
            answer
        });
        called
            .await
            .unwrap_or_else(|error| Err(StoreError::new("the store call died").with_source(error)))
    }

    /// Runs something as long as the driver lives.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(work);
    }
}
