//! Tasks in a PostgreSQL database.
//!
//! The verbs that write are functions of the schema (`migrations`), so that
//! each is one statement and one short transaction of the server; what a
//! transition is, and says, is decided in `task::transition` as in every store,
//! and the tests compare both with random operations.

mod arrays;
mod config;
mod connection;
mod create;
mod error;
mod handle;
mod inspect;
mod listen;
mod namespace;
mod notices;
mod notify;
mod reads;
mod reap;
mod rows;
mod schema;
mod stats;
#[cfg(test)]
mod tests;
mod text;
#[cfg(feature = "postgres-tls")]
mod tls;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Inspection, OpenStore, Store, StoreError};
use handle::Handle;
use namespace::Namespace;

/// Keeps tasks in a PostgreSQL database, which many replicas share.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), async_tool_runtime::BoxError> {
/// use async_tool_runtime::{AsyncTools, PostgresStore};
///
/// let url = std::env::var("DATABASE_URL")?;
/// let builder = AsyncTools::builder().store(PostgresStore::connect(&url).await?);
/// # Ok(())
/// # }
/// ```
///
/// Handles are cheap to clone. All namespaces that one of them serves share a
/// thread and its connections: a pool of at most
/// [`pool_size`](PostgresStoreBuilder::pool_size), two for heartbeats, one that
/// listens for changes and one that tells them. They end with the last handle and the last server.
///
/// # What is guaranteed
///
/// - **When a process is killed**, nothing that had been answered is lost.
/// - **When the server loses power**, neither is the creation of a task, a
///   claim, a recorded step, a question, an answer, a retry, a request to stop,
///   the end with its notice, or a deletion on request: those are committed with
///   `synchronous_commit = on`, or what stronger setting the server has.
///   Progress, log lines and what is repeated or taken over anyway may be lost
///   with the last moments; so may what came of a notice, which is then told
///   again. After a failover to a standby the same holds of what had been
///   replicated; PostgreSQL waits for that only if it is told to
///   (`synchronous_standby_names`).
/// - **Many replicas** may work at once. No task is executed twice, limits of
///   concurrency keys are exact, and workers that look for tasks do not wait for
///   each other. Limits of queues are exact unless a burst of more than some
///   fifty calls comes just below them.
/// - What one process changes the others hear within some 10 ms, by `NOTIFY`;
///   after a lost connection they look at everything again.
/// - All times are the server's. Whether a worker is dead is told by a count
///   that others see unchanged for one lease on their monotonic clocks, at the
///   latest two leases later.
///
/// # The server
///
/// PostgreSQL 13 or newer (tests run with 15), its encoding UTF-8, and a user that may create a
/// schema in the database, or owns the one that is there; then it creates what
/// it needs when it connects, and brings a schema of an older version of this
/// crate to its own. An older version refuses a newer schema.
///
/// A pooler such as PgBouncer must be in *session* mode: the connections have
/// settings, prepared statements and `LISTEN`. It must be the primary: standbys
/// cannot be written to. Text with a character 0 is kept; a principal of more
/// than some 2000 bytes is refused by the server. What claims and creates cost
/// grows with the number of queued tasks whose concurrency keys have no room.
///
/// # The URL
///
/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, and after a `?` what
/// `tokio-postgres` knows (`connect_timeout`, `application_name`, …) and
///
/// - `schema=NAME`: see [`schema`](PostgresStoreBuilder::schema);
/// - `sslmode=`: `disable`, `prefer` (unless said otherwise: TLS where server and
///   certificate allow it), or `require`, which needs the feature `postgres-tls`
///   and checks certificate and name in full, as `verify-full` does elsewhere;
/// - `sslrootcert=PATH`: a PEM file of the authorities that sign the server's
///   certificate, instead of those of the system.
///
/// Neither errors nor `Debug` nor logs show the URL or its password.
///
/// # When something is wrong
///
/// Calls are answered with an error that says what it is: connecting takes at
/// most 5 seconds, a call 30. What was called may have been done or not, and
/// all of it or nothing. When the server is back, calls work again by
/// themselves.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    handle: Arc<Handle>,
    max_records: usize,
}

impl PostgresStore {
    /// How many tasks a namespace keeps, ended ones included, unless said
    /// otherwise.
    pub const DEFAULT_MAX_RECORDS: usize = 1_000_000;
    /// How many connections the pool has at most, unless said otherwise.
    pub const DEFAULT_POOL_SIZE: usize = 16;
    /// The schema, unless said otherwise.
    pub const DEFAULT_SCHEMA: &str = "async_tool";

    /// Connects, and creates the schema if it is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the URL cannot be read, the server cannot be reached or
    /// refuses, or the schema is somebody else's or of a newer version.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// Looks at the server and the schema that a URL names, without changing
    /// anything. A standby is looked at as well.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the URL cannot be read, or the server cannot be reached
    /// or refuses.
    pub async fn inspect(url: &str) -> Result<Inspection, StoreError> {
        inspect::inspect(url).await
    }

    /// Begins to say more than a URL does.
    pub fn builder(url: impl Into<String>) -> PostgresStoreBuilder {
        PostgresStoreBuilder {
            url: url.into(),
            schema: None,
            pool_size: Self::DEFAULT_POOL_SIZE,
            max_records: Self::DEFAULT_MAX_RECORDS,
        }
    }
}

#[async_trait]
impl OpenStore for PostgresStore {
    async fn open(&self, namespace: &str) -> Result<Arc<dyn Store>, StoreError> {
        let handle = Arc::clone(&self.handle);
        let namespace = Namespace::open(handle, namespace, self.max_records);
        Ok(Arc::new(namespace.await?))
    }

    async fn namespaces(&self) -> Result<Vec<String>, StoreError> {
        stats::namespaces(&self.handle).await
    }
}

/// How to connect; see [`PostgresStore::builder`].
#[derive(Clone)]
pub struct PostgresStoreBuilder {
    url: String,
    schema: Option<String>,
    pool_size: usize,
    max_records: usize,
}

impl PostgresStoreBuilder {
    /// Sets the schema that has the tables, `async_tool` unless said otherwise;
    /// goes before the URL's. Letters, digits and underscores, and nobody
    /// else's tables in it.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// Sets how many connections there are at most for calls, 16 unless said
    /// otherwise. Calls wait for one that is free.
    #[must_use]
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections;
        self
    }

    /// Sets how many tasks a namespace keeps, ended ones included. Further
    /// ones are refused until retention has made room; calls at the same moment
    /// may exceed it by their number. Applies to this process alone.
    #[must_use]
    pub fn max_records(mut self, max_records: usize) -> Self {
        self.max_records = max_records;
        self
    }

    /// Connects, and creates the schema if it is not there.
    ///
    /// # Errors
    ///
    /// As of [`PostgresStore::connect`].
    pub async fn connect(self) -> Result<PostgresStore, StoreError> {
        let target = config::parse(&self.url)?;
        let schema = self
            .schema
            .as_deref()
            .or(target.schema.as_deref())
            .unwrap_or(PostgresStore::DEFAULT_SCHEMA);
        let handle = Handle::open(&target, schema, self.pool_size).await?;
        Ok(PostgresStore {
            handle: Arc::new(handle),
            max_records: self.max_records,
        })
    }
}

/// The URL has a password.
impl fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStoreBuilder")
            .field("schema", &self.schema)
            .field("pool_size", &self.pool_size)
            .field("max_records", &self.max_records)
            .finish_non_exhaustive()
    }
}
