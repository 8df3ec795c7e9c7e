//! Waiting until the server's disk has what was written.
//!
//! WAITAOF waits for the writes of its own connection and lets nothing else
//! through meanwhile, so it has a connection of its own, for all calls: their
//! writes are in the append-only file before the one that is made here after
//! them. Calls that come while it waits share the next round.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::error::{failed, say};
use super::link::CONNECT;
use crate::store::StoreError;

/// How long the disk may take.
const DISK: Duration = Duration::from_secs(20);

type Waiting = oneshot::Sender<Result<(), StoreError>>;

/// How calls ask for it.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    asks: mpsc::UnboundedSender<Waiting>,
}

impl Disk {
    /// With what is to be spawned, which ends with the last clone. `key` is
    /// written, and expires at once.
    pub(super) fn new(
        client: Client,
        key: String,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (asks, mut asked) = mpsc::unbounded_channel::<Waiting>();
        let syncing = async move {
            let mut connection = None;
            while let Some(first) = asked.recv().await {
                let mut waiting = vec![first];
                while let Ok(next) = asked.try_recv() {
                    waiting.push(next);
                }
                let synced = round(&client, &key, &mut connection).await;
                if synced.is_err() {
                    connection = None;
                }
                for waiting in waiting {
                    let answer = match &synced {
                        Ok(()) => Ok(()),
                        Err(error) => Err(StoreError::new(error.to_string())),
                    };
                    // Whoever asked may have gone away.
                    let _ = waiting.send(answer);
                }
            }
        };
        (Self { asks }, syncing)
    }

    /// Completes when what was answered before is on the server's disk.
    pub(super) async fn wait(&self) -> Result<(), StoreError> {
        let ended = || say("what waits for the server's disk has ended");
        let (waiting, answer) = oneshot::channel();
        self.asks.send(waiting).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

async fn round(
    client: &Client,
    key: &str,
    connection: &mut Option<MultiplexedConnection>,
) -> Result<(), StoreError> {
    let late =
        || say("the server's disk did not confirm the write in time; it was written all the same");
    let waiting = async {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(connect(client).await.map_err(failed)?),
        };
        let milliseconds = u64::try_from(DISK.as_millis()).unwrap_or(u64::MAX);
        let (synced, _replicas): (u64, u64) = ::redis::pipe()
            .cmd("SET")
            .arg(key)
            .arg("")
            .arg("PX")
            .arg(1)
            .ignore()
            .cmd("WAITAOF")
            .arg(1)
            .arg(0)
            .arg(milliseconds)
            .query_async::<((u64, u64),)>(connection)
            .await
            .map_err(refused)?
            .0;
        if synced == 0 { Err(late()) } else { Ok(()) }
    };
    timeout(DISK + CONNECT, waiting)
        .await
        .unwrap_or_else(|_| Err(late()))
}

async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(DISK + CONNECT));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

fn refused(error: RedisError) -> StoreError {
    if error
        .detail()
        .is_some_and(|text| text.contains("appendonly"))
    {
        return say("`wait_aof` needs a server with `appendonly yes`").with_source(error);
    }
    failed(error)
}
