//! Tasks in a Redis or Valkey server.
//!
//! Each verb is one Lua script, and so one atomic step; what is kept where is
//! told in `scripts/prelude.lua`. The scripts carry out the transitions of
//! `task::transition`, function by function.

mod address;
mod changes;
mod check;
mod disk;
mod error;
mod handle;
mod link;
mod names;
mod namespace;
mod rows;
mod script;
#[cfg(test)]
mod tests;
mod texts;
mod verbs;

use std::sync::Arc;

use async_trait::async_trait;

use super::{Inspection, OpenStore, Store, StoreError, TaskRecord};
use error::say;
use handle::{Handle, Options};
use link::Patience;
use namespace::Namespace;

/// Keeps tasks in a Redis or Valkey server, which many replicas share.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), async_tool_runtime::BoxError> {
/// use async_tool_runtime::{AsyncTools, RedisStore};
///
/// let builder = AsyncTools::builder().store(RedisStore::connect("redis://localhost:6379").await?);
/// # Ok(())
/// # }
/// ```
///
/// It takes Redis 6.2 or later, or any Valkey, which is the same in all that is
/// said here. URLs are `redis://USER:PASSWORD@HOST:PORT/DATABASE`, `rediss://…`
/// for TLS (feature `redis-tls`), or `unix:///PATH`.
///
/// Handles are cheap to clone. One has a thread, which drives two connections:
/// one for the calls of all namespaces, one that hears of changes.
///
/// # What is guaranteed
///
/// It is the server's settings that decide how long tasks live:
///
/// - **`appendonly yes` with `appendfsync everysec`**, which is usual: when this
///   process is killed, nothing that had been answered is lost. When the power
///   fails, the last second or two may be: tasks that had been accepted, claims
///   (then a task is executed again), and ends. So they may when the server is killed while its disk is too slow for
///   it, for then it puts off writing.
/// - **`appendonly yes` with `appendfsync always`**, or
///   [`wait_aof`](RedisStoreBuilder::wait_aof): a power cut does not lose the
///   creation of a task, a claim, a recorded step, a question, an answer, a
///   retry, a request to stop, or the end either.
/// - **`save` alone**: when the server ends in any other way than by a shutdown,
///   everything since its last snapshot is lost. There is a warning at the start
///   where the server keeps nothing at all.
/// - **`maxmemory-policy` has to be `noeviction`**: a server that drops keys when
///   its memory is full is no place for tasks, and is refused.
/// - **Failovers** lose what the new master had not got yet, since replicas
///   follow a moment later: a task may be gone whose id had been told, or be
///   executed again that had been claimed or had ended. The server's
///   `min-replicas-to-write` makes that a matter of a moment and not of an
///   outage. Where it must not happen, keep tasks in PostgreSQL.
///
/// Any number of processes may share the tasks of a namespace. No task is
/// executed twice, unless the server forgot that it had been. What one process
/// does, the others are told at once. Tasks of a process that died are taken
/// over at the latest two leases later; that is told by a monotonic clock of
/// whoever takes them over. All other times are those of the server.
///
/// # What is where
///
/// All keys of a namespace begin with `PREFIX:{NAMESPACE}:`, with `async-tool`
/// as prefix unless said otherwise; so they are in one slot of a cluster. They
/// are in database 0 unless the URL says otherwise. When the last record of a
/// namespace is purged, no key is left. Once a record's retention is over, the
/// server itself expires it. The user needs `EVAL`, `EVALSHA`, `TIME`, `INFO`,
/// `PING`, `PUBLISH`, `SUBSCRIBE` and the commands on keys, strings, hashes,
/// lists, sets and sorted sets for these keys, and the channels of the same
/// names. Without `PUBLISH`, others find changes out by looking now and then;
/// [`namespaces`](OpenStore::namespaces) looks through all keys with `SCAN`.
///
/// A newer version of this crate may keep records that this one does not know:
/// it refuses them by name where it is asked for one, and leaves them alone
/// otherwise.
///
/// # When something is wrong
///
/// Calls are answered with an error that says what it is: a server that cannot
/// be reached (after 5 seconds), does not answer (15 seconds; no call takes
/// longer than half a minute), is still loading its data, became a replica, or
/// whose memory or disk is full. They work again by themselves when it is over. A
/// call whose answer was lost is not sent again, for it may have been carried
/// out: initiating a task once more with the same idempotency key finds out.
#[derive(Debug, Clone)]
pub struct RedisStore {
    handle: Handle,
    max_records: usize,
}

impl RedisStore {
    /// How many tasks a namespace keeps, ended ones included, unless said
    /// otherwise.
    pub const DEFAULT_MAX_RECORDS: usize = 1_000_000;

    /// Connects to a server, with the usual settings.
    ///
    /// # Errors
    ///
    /// As [`RedisStoreBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Looks at a server without writing to it: who it is, and which of its
    /// settings weaken what is promised above. A server has no schema.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the URL is not one of a Redis server, or the server
    /// cannot be reached or refuses us.
    pub async fn inspect(url: &str) -> Result<Inspection, StoreError> {
        Handle::inspect(url).await
    }

    /// Other settings than the usual ones.
    pub fn builder() -> RedisStoreBuilder {
        RedisStoreBuilder::default()
    }
}

/// Settings of a [`RedisStore`].
#[derive(Debug, Clone)]
pub struct RedisStoreBuilder {
    options: Options,
}

impl Default for RedisStoreBuilder {
    fn default() -> Self {
        Self {
            options: Options {
                prefix: "async-tool".into(),
                max_records: RedisStore::DEFAULT_MAX_RECORDS,
                wait_aof: false,
                format: TaskRecord::FORMAT,
                clock: None,
                patience: Patience::default(),
            },
        }
    }
}

impl RedisStoreBuilder {
    /// Sets what the names of all keys begin with: `async-tool` unless said
    /// otherwise. Without braces.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<Arc<str>>) -> Self {
        self.options.prefix = prefix.into();
        self
    }

    /// Sets how many tasks a namespace keeps, ended ones included. Further
    /// ones are refused until retention has made room.
    #[must_use]
    pub fn max_records(mut self, max_records: usize) -> Self {
        self.options.max_records = max_records;
        self
    }

    /// Answers what has to survive a power cut only when the server's disk has
    /// it (`WAITAOF`): with `appendfsync everysec` that takes up to two seconds,
    /// for all calls of that time together. Needs version 7.2 and `appendonly
    /// yes`.
    #[must_use]
    pub fn wait_aof(mut self, wait_aof: bool) -> Self {
        self.options.wait_aof = wait_aof;
        self
    }

    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the URL is not one of a Redis server, or the server
    /// cannot be reached, refuses us, is older than 6.2, evicts keys when its
    /// memory is full, or cannot do what [`wait_aof`](Self::wait_aof) asks for.
    /// What a server lets nobody ask is not checked; then there is a warning.
    pub async fn connect(self, url: &str) -> Result<RedisStore, StoreError> {
        if self.options.prefix.contains(['{', '}']) {
            return Err(say("the prefix of keys must not contain braces"));
        }
        let max_records = self.options.max_records;
        Ok(RedisStore {
            handle: Handle::open(url, self.options).await?,
            max_records,
        })
    }
}

#[async_trait]
impl OpenStore for RedisStore {
    async fn open(&self, namespace: &str) -> Result<Arc<dyn Store>, StoreError> {
        let handle = self.handle.clone();
        let namespace = Namespace::open(handle, namespace, self.max_records);
        Ok(Arc::new(namespace.await?))
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.handle.namespaces().await
    }
}
