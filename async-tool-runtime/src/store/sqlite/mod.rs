//! Tasks in an SQLite file.
//!
//! One thread writes, all that waits in one transaction ([`writer`]); two
//! threads read ([`readers`]). What a verb does is in [`operations`] and
//! [`reads`], what is decided in `task::transition`, as in every store.

mod changes;
mod connection;
mod error;
mod handle;
mod job;
mod namespace;
mod operations;
mod readers;
mod reads;
mod rows;
mod schema;
mod sessions;
mod statement;
#[cfg(test)]
mod tests;
mod work;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::{OpenStore, Store, StoreError};
use handle::{Handle, Options};
use namespace::Namespace;

/// Keeps tasks in an SQLite file.
///
/// Several processes may share it. One that is frozen in the middle of a write
/// (by SIGSTOP, a debugger, a paused container) keeps the others from writing
/// until it goes on or is killed: calls of theirs that have to write are refused
/// as `store_unavailable` meanwhile, and their attempts stop when their leases
/// run out.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    handle: Arc<Handle>,
}

impl SqliteStore {
    /// Opens the file, and creates it, and the directories to it, if it is not
    /// there.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if that is not possible, or the file is not one of this
    /// crate, or one of a newer version.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path.as_ref(), Options::default()).await
    }

    async fn open_with(path: &Path, options: Options) -> Result<Self, StoreError> {
        let handle = Handle::open(path.to_owned(), options).await?;
        Ok(Self {
            handle: Arc::new(handle),
        })
    }

    /// Closes the file. Completes when everything has been written, if this is
    /// the last handle and no server uses it any more; at once otherwise.
    ///
    /// Dropping the last handle does the same, but nobody can tell when it is
    /// done.
    pub async fn close(self) {
        let mut closed = self.handle.closed();
        if Arc::into_inner(self.handle).is_some() {
            // Its sender is never used, only dropped.
            let _ = closed.changed().await;
        }
    }

    /// One durable transaction for each call, as of a store that knows nothing
    /// of group commit: what benchmarks compare with.
    #[doc(hidden)]
    #[must_use]
    pub fn one_transaction_per_call(self) -> Self {
        self.handle.one_by_one();
        self
    }
}

#[async_trait]
impl OpenStore for SqliteStore {
    async fn open(&self, namespace: &str) -> Result<Arc<dyn Store>, StoreError> {
        let handle = Arc::clone(&self.handle);
        Ok(Arc::new(Namespace::open(handle, namespace).await?))
    }
}
