//! Connections to a server, as callers see them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::config::{self, Target};
use super::connection::Connector;
use super::error::{self, Done};
use super::listen::{self, Channel};
use super::notify::{self, Outbox};
use super::schema;
use crate::store::driver::Driver;
use crate::store::hub::Hub;
use crate::store::sessions::Observations;
use crate::store::{Change, StoreError};
use crate::task::SessionId;

/// How long a call may take, waiting for a connection and connecting included.
pub(super) const CALL: Duration = Duration::from_secs(30);
/// How many connections there are for heartbeats alone.
const BEATS: usize = 2;
/// How long it may take to tell the server that nobody waits any more.
const CANCEL: Duration = Duration::from_secs(5);
/// How often a call is made again that others were in the way of.
const TRIES: u32 = 8;

/// A value for a statement.
pub(super) type Param = Box<dyn ToSql + Sync + Send>;

macro_rules! params {
    ($($value:expr),* $(,)?) => {
        vec![$(Box::new($value) as $crate::store::postgres::handle::Param),*]
    };
}
pub(super) use params;

/// Ends the thread and the connections when it is dropped.
pub(super) struct Handle {
    driver: Driver,
    shared: Arc<Shared>,
    schema: String,
    sessions: Mutex<Observations<i32>>,
}

struct Shared {
    pool: Pool,
    /// Heartbeats do not wait behind other calls: they cost every task of a
    /// worker that misses them.
    beats: Pool,
    connector: Connector,
    hub: Arc<Hub<i32>>,
    outbox: Arc<Outbox>,
}

/// Does not show where the server is: there may be a password in that.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl Handle {
    pub(super) async fn open(target: &Target, schema: &str, pool_size: usize) -> Done<Self> {
        let quoted = config::quoted(schema)?;
        let connector = Connector::new(target)?;
        let driver = Driver::start("async-tool-postgres")?;
        let channel = Channel::new(schema);
        let hub = Arc::new(Hub::default());
        let outbox = Arc::new(Outbox::default());
        let (calls, beats) = (pool(&connector, pool_size)?, pool(&connector, BEATS)?);

        let (to_migrate, of_schema) = (connector.clone(), quoted.clone());
        let (to_listen, heard) = (connector.clone(), channel.clone());
        let listening = driver
            .call(async move {
                let deadline = Instant::now() + CALL;
                let prepared = timeout_at(deadline, async {
                    schema::prepare(&to_migrate, &of_schema).await?;
                    listen::start(&to_listen, &heard).await
                });
                prepared.await.unwrap_or_else(|_| Err(error::too_long()))
            })
            .await?;
        driver.spawn(listen::run(
            connector.clone(),
            channel.clone(),
            Arc::clone(&hub),
            listening,
        ));
        driver.spawn(notify::run(connector.clone(), channel, Arc::clone(&outbox)));
        Ok(Self {
            driver,
            shared: Arc::new(Shared {
                pool: calls,
                beats,
                connector,
                hub,
                outbox,
            }),
            schema: quoted,
            sessions: Mutex::default(),
        })
    }

    pub(super) fn hub(&self) -> &Hub<i32> {
        &self.shared.hub
    }

    /// Runs one statement, in which `@` stands for the schema.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        sql: &str,
        params: Vec<Param>,
        read: impl FnOnce(&[Row]) -> Done<T> + Send + 'static,
    ) -> Done<T> {
        self.run(false, sql, params, move |_, rows| read(&rows))
            .await
    }

    /// Runs one statement that writes to a namespace. What changed is told
    /// even if nobody waits for the answer any more.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        ns: i32,
        sql: &str,
        params: Vec<Param>,
        read: impl FnOnce(&[Row]) -> Done<(T, Vec<Change>)> + Send + 'static,
    ) -> Done<T> {
        self.write_by(false, ns, sql, params, read).await
    }

    /// [`write`](Self::write), on a connection that other calls do not use.
    pub(super) async fn beat<T: Send + 'static>(
        &self,
        ns: i32,
        sql: &str,
        params: Vec<Param>,
        read: impl FnOnce(&[Row]) -> Done<(T, Vec<Change>)> + Send + 'static,
    ) -> Done<T> {
        self.write_by(true, ns, sql, params, read).await
    }

    async fn write_by<T: Send + 'static>(
        &self,
        beat: bool,
        ns: i32,
        sql: &str,
        params: Vec<Param>,
        read: impl FnOnce(&[Row]) -> Done<(T, Vec<Change>)> + Send + 'static,
    ) -> Done<T> {
        self.run(beat, sql, params, move |shared, rows| {
            let (answer, changes) = read(&rows)?;
            shared.tell(ns, &changes);
            Ok(answer)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        beat: bool,
        sql: &str,
        params: Vec<Param>,
        read: impl FnOnce(&Shared, Vec<Row>) -> Done<T> + Send + 'static,
    ) -> Done<T> {
        let sql = sql.replace('@', &self.schema);
        let shared = Arc::clone(&self.shared);
        self.driver
            .call(async move {
                let pool = if beat { &shared.beats } else { &shared.pool };
                let rows = shared.rows(pool, &sql, &params).await?;
                read(&shared, rows)
            })
            .await
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, Observations<i32>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The count of a renewal that may follow.
    pub(super) fn next_beat(&self) -> i64 {
        self.sessions().next_beat()
    }

    /// Remembers that a session of this process was renewed just now.
    pub(super) fn renewed(&self, ns: i32, session: SessionId, beats: i64) {
        self.sessions().saw(ns, session, beats, Instant::now());
    }
}

fn pool(connector: &Connector, size: usize) -> Done<Pool> {
    let manager = Manager::from_connect(
        connector.config(),
        connector.clone(),
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    Pool::builder(manager)
        .max_size(size.max(1))
        .runtime(Runtime::Tokio1)
        .create_timeout(Some(connector.patience()))
        .recycle_timeout(Some(connector.patience()))
        .wait_timeout(Some(CALL))
        .build()
        .map_err(|_| error::other("there is no pool of connections"))
}

impl Shared {
    fn tell(&self, ns: i32, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let told: Vec<(i32, Change)> = changes.iter().map(|change| (ns, *change)).collect();
        self.hub.tell(&told);
        self.outbox.add(&told);
    }

    async fn rows(&self, pool: &Pool, sql: &str, params: &[Param]) -> Done<Vec<Row>> {
        let deadline = Instant::now() + CALL;
        let mut tries = 0;
        loop {
            let client = match timeout_at(deadline, pool.get()).await {
                Ok(client) => client.map_err(|error| error::pool_fault(&error))?,
                Err(_) => return Err(error::too_long()),
            };
            let Ok(done) = timeout_at(deadline, execute(&client, sql, params)).await else {
                // Otherwise the server might go on with it, and hold what it has
                // locked, for longer than the connection lasts.
                let (connector, token) = (self.connector.clone(), client.cancel_token());
                tokio::spawn(async move {
                    let _ = timeout(CANCEL, connector.cancel(token)).await;
                });
                // The others are likely to be no better.
                drop(Object::take(client));
                pool.retain(|_, _| false);
                return Err(error::too_long());
            };
            let error = match done {
                Ok(rows) => return Ok(rows),
                Err(error) => error,
            };
            tries += 1;
            if error.as_db_error().is_none() {
                drop(Object::take(client));
                pool.retain(|client, _| !client.is_closed());
                return Err(error::fault(&error));
            }
            if error::is_demoted(&error) {
                drop(Object::take(client));
                pool.retain(|_, _| false);
                return Err(error::fault(&error));
            }
            if tries < TRIES && error::is_transient(&error) {
                drop(client);
                sleep(Duration::from_millis(fastrand::u64(
                    1..=10 * u64::from(tries),
                )))
                .await;
            } else if tries == 1 && error::is_stale(&error) {
                drop(Object::take(client));
            } else {
                return Err(error::fault(&error));
            }
        }
    }
}

async fn execute(client: &Object, sql: &str, params: &[Param]) -> Result<Vec<Row>, Error> {
    let statement = client.prepare_cached(sql).await?;
    let params: Vec<&(dyn ToSql + Sync)> = params
        .iter()
        .map(|param| &**param as &(dyn ToSql + Sync))
        .collect();
    client.query(&statement, &params).await
}

/// The only row of an answer.
pub(super) fn one(rows: &[Row]) -> Result<&Row, StoreError> {
    rows.first()
        .ok_or_else(|| error::other("the server answered nothing"))
}
