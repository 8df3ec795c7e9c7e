//! Tasks in an SQLite file.
//!
//! One thread writes, all that waits in one transaction ([`writer`]); two
//! threads read ([`readers`]). What a verb does is in [`operations`] and
//! [`reads`], what is decided in `task::transition`, as in every store.

mod changes;
mod checkpoints;
mod connection;
mod error;
mod handle;
mod inspect;
mod job;
mod namespace;
mod operations;
mod readers;
mod reads;
mod rows;
mod schema;
mod sessions;
mod statement;
mod stats;
#[cfg(test)]
mod tests;
mod update;
mod work;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Inspection, OpenStore, Store, StoreError};
use error::Fault;
use handle::{Handle, Options};
use namespace::Namespace;

/// Keeps tasks in an SQLite file: they survive the process.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), async_tool_runtime::BoxError> {
/// # let directory = tempfile::TempDir::new()?;
/// # std::env::set_current_dir(&directory)?;
/// use async_tool_runtime::{AsyncTools, SqliteStore};
///
/// let builder = AsyncTools::builder().store(SqliteStore::open("tasks.db").await?);
/// # Ok(())
/// # }
/// ```
///
/// Handles are cheap to clone. All namespaces that one opened file serves share
/// a thread that writes and two that read; they end with the last handle and
/// the last server.
///
/// # What is guaranteed
///
/// - **When a process is killed**, nothing that had been answered is lost.
/// - **When the power fails**, neither is the creation of a task, a claim, a
///   recorded step, an answer, a retry, a request to stop, the end with its
///   notice, or a deletion on request: those are told after the disk has them, as
///   far as the disk tells the truth. Progress, log lines and what can be found out
///   again may be lost with the last moments; so may what came of a notice, which
///   is then told again.
/// - **Several processes** may have the same file open, on one machine, as
///   when each client of a stdio server starts its own. No task is executed
///   twice. What one of them does, the others look for every 10 ms while
///   somebody asks them for tasks, every 50 ms while they execute some, and
///   every 1.25 s otherwise. Tasks of a process that died are taken over at the
///   latest two leases later; that is told by a monotonic clock, so that wall
///   clocks that jump and laptops that sleep kill no task.
/// - A process that has nothing to do writes nothing, and looks for what others
///   did less than twice a second.
///
/// # The file
///
/// It is created if it is not there, and so are the directories to it, for
/// their owner's eyes alone (0600 and 0700): arguments and results may be
/// secret. The permissions of a file that is there are left alone. Beside it
/// there are a `-wal` and a `-shm` while it is open; they belong to it.
///
/// **It must not be on a network file system**, even where that seems to work:
/// the processes share memory, which those of another machine do not see, and
/// locks are often not what they say. Nobody notices before the file is damaged.
///
/// A file stays as large as it has been; what is purged makes room for what
/// comes. To make a copy while it is in use, ask SQLite for one, which will be
/// as small as can be: `sqlite3 tasks.db "VACUUM INTO 'copy.db'"`, or
/// `.backup`. Copying the files may miss what is in the `-wal`.
///
/// A newer version of this crate brings a file to its own form when it opens
/// it; older versions refuse it from then on. Their processes that have it open
/// go on, and leave alone what is too new for them.
///
/// # When something is wrong
///
/// Calls are answered with an error that says what it is, and work again when
/// it is over: a full disk; a file that another process keeps locked for more
/// than 5 seconds; a damaged page, which fails the calls that meet it; a file
/// that was deleted or replaced, which is noticed within half a second of
/// calls, and over when it is back.
///
/// A process that is frozen in the middle of a write (by SIGSTOP, a debugger, a
/// paused container) keeps the file locked until it goes on or is killed. The
/// attempts of the other processes stop meanwhile, when their leases run out.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    handle: Arc<Handle>,
    max_records: usize,
}

impl SqliteStore {
    /// How many tasks a namespace keeps, ended ones included, unless said
    /// otherwise.
    pub const DEFAULT_MAX_RECORDS: usize = 250_000;

    /// Opens the file, and creates it, and the directories to it, if it is not
    /// there.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if that is not possible, or if the file is not one of this
    /// crate, or one of a newer version, or if the SQLite that the program is
    /// linked with is older than 3.51.3, which has a bug that can damage a file
    /// that several connections share.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path.as_ref(), Options::default()).await
    }

    /// Looks at a file without changing anything: neither it nor what is beside
    /// it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it is not there, cannot be read, or is not one of this
    /// crate.
    pub async fn inspect(path: impl AsRef<Path>) -> Result<Inspection, StoreError> {
        let path = path.as_ref().to_owned();
        tokio::task::spawn_blocking(move || inspect::inspect(&path))
            .await
            .unwrap_or_else(|_| Err(Fault::other("SQLite store: the look at it died")))
            .map_err(StoreError::from)
    }

    async fn open_with(path: &Path, options: Options) -> Result<Self, StoreError> {
        let handle = Handle::open(path.to_owned(), options).await?;
        Ok(Self {
            handle: Arc::new(handle),
            max_records: Self::DEFAULT_MAX_RECORDS,
        })
    }

    /// Sets how many tasks a namespace keeps, ended ones included. Further
    /// ones are refused until retention has made room. Applies to namespaces
    /// that are opened later by this handle, and to no other process.
    #[must_use]
    pub fn max_records(mut self, max_records: usize) -> Self {
        self.max_records = max_records;
        self
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
        let namespace = Namespace::open(handle, namespace, self.max_records);
        Ok(Arc::new(namespace.await?))
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.handle.read(stats::namespaces).await
    }
}
