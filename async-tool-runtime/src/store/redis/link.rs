//! The connection to a server, or to all of a cluster.

mod scan;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::aio::{ConnectionLike, MultiplexedConnection};
#[cfg(feature = "redis-cluster")]
use ::redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo};
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, PushInfo, PushKind, RedisError, RedisResult,
    ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::error::failed;
use super::script::{Arguments, Script};
use crate::store::StoreError;

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// How often a call is sent that certainly was not carried out, and how long to
/// wait before the second time; before each further one it is longer.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(50);

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// An answer.
    pub(super) answer: Duration,
    /// A call, with connecting.
    pub(super) call: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(15),
            call: Duration::from_secs(25),
        }
    }
}

/// A connection that all calls share, and that is made anew when it is lost.
///
/// The driver's own manager would keep an error of connecting that is none of
/// the network's, and never try again.
#[derive(Clone)]
pub(super) struct Link {
    client: Client,
    #[cfg(feature = "redis-cluster")]
    cluster: Option<::redis::cluster::ClusterClient>,
    patience: Patience,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    shared: Option<Shared>,
    /// Who waited for this attempt to connect need not make another one.
    failed: Option<(Instant, RedisError)>,
}

#[derive(Clone)]
struct Shared {
    connection: Connection,
    lost: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    #[cfg(feature = "redis-cluster")]
    Cluster(::redis::cluster_async::ClusterConnection),
}

/// Which server of a cluster a command is for.
#[derive(Debug, Clone)]
enum Server {
    OfItsKeys,
    #[cfg(feature = "redis-cluster")]
    EachMaster,
    #[cfg(feature = "redis-cluster")]
    Master {
        host: String,
        port: u16,
    },
}

#[cfg(feature = "redis-cluster")]
impl Server {
    fn route(&self) -> Option<RoutingInfo> {
        match self {
            Self::OfItsKeys => None,
            Self::EachMaster => Some(RoutingInfo::MultiNode((
                MultipleNodeRoutingInfo::AllMasters,
                None,
            ))),
            Self::Master { host, port } => {
                Some(RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress {
                    host: host.clone(),
                    port: *port,
                }))
            }
        }
    }
}

impl Connection {
    async fn send(&mut self, server: &Server, command: &Cmd) -> RedisResult<Value> {
        let answer = match (self, server) {
            #[cfg(feature = "redis-cluster")]
            (Self::Cluster(connection), server) => match server.route() {
                Some(route) => connection.route_command(command.clone(), route).await,
                None => connection.req_packed_command(command).await,
            },
            (Self::One(connection), _) => connection.req_packed_command(command).await,
        };
        // Errors may be inside of an answer.
        answer.and_then(Value::extract_error)
    }
}

impl Link {
    pub(super) fn new(client: Client, patience: Patience) -> Self {
        Self {
            client,
            #[cfg(feature = "redis-cluster")]
            cluster: None,
            patience,
            state: Arc::default(),
        }
    }

    /// The same, to all servers of its cluster.
    #[cfg(feature = "redis-cluster")]
    pub(super) fn of_cluster(&self) -> Result<Self, StoreError> {
        let info = self.client.get_connection_info().clone();
        // What has perhaps been carried out must not be sent again; what has
        // not is sent again here.
        let cluster = ::redis::cluster::ClusterClient::builder([info])
            .retries(0)
            .connection_timeout(CONNECT)
            .response_timeout(self.patience.answer)
            .build()
            .map_err(failed)?;
        Ok(Self {
            cluster: Some(cluster),
            ..Self::new(self.client.clone(), self.patience)
        })
    }

    /// Sends a command, once: nobody can tell whether one that was not answered
    /// has been carried out.
    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        self.send_to(&Server::OfItsKeys, command).await
    }

    async fn send_to(&self, server: &Server, command: &Cmd) -> RedisResult<Value> {
        let calling = async {
            let mut attempt = 1;
            loop {
                match self.try_send(server, command).await {
                    Err(error) if is_elsewhere(&error) && attempt < ATTEMPTS => {
                        sleep(PAUSE * attempt).await;
                        attempt += 1;
                    }
                    answer => return answer,
                }
            }
        };
        timeout(self.patience.call, calling)
            .await
            .unwrap_or_else(|_| too_late())
    }

    async fn try_send(&self, server: &Server, command: &Cmd) -> RedisResult<Value> {
        let mut shared = self.shared().await?;
        let answer = shared.connection.send(server, command).await;
        if let Err(error) = &answer
            && ends_a_connection(error)
        {
            shared.lost.store(true, Ordering::Relaxed);
        }
        answer
    }

    async fn shared(&self) -> RedisResult<Shared> {
        let since = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(shared) = &state.shared
            && !shared.lost.load(Ordering::Relaxed)
        {
            return Ok(shared.clone());
        }
        if let Some((at, error)) = &state.failed
            && *at >= since
        {
            return Err(error.clone());
        }
        state.shared = None;
        let connected = timeout(CONNECT, self.connect());
        match connected.await.unwrap_or_else(|_| too_late()) {
            Ok(shared) => {
                state.shared = Some(shared.clone());
                state.failed = None;
                Ok(shared)
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> RedisResult<Shared> {
        let lost = Arc::new(AtomicBool::new(false));
        #[cfg(feature = "redis-cluster")]
        if let Some(cluster) = &self.cluster {
            let connection = Connection::Cluster(cluster.get_async_connection().await?);
            return Ok(Shared { connection, lost });
        }
        let mark = Arc::clone(&lost);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(self.patience.answer))
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    mark.store(true, Ordering::Relaxed);
                }
                Ok::<(), std::convert::Infallible>(())
            });
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let connection = Connection::One(connecting.await?);
        Ok(Shared { connection, lost })
    }

    /// Runs a script, once.
    pub(super) async fn run(
        &self,
        script: &Script,
        base: &str,
        arguments: &Arguments,
    ) -> Result<Value, StoreError> {
        let unknown = ErrorKind::Server(ServerErrorKind::NoScript);
        let answer = match self.send(&script.by_hash(base, arguments)).await {
            Err(error) if error.kind() == unknown => {
                self.send(&script.in_full(base, arguments)).await
            }
            answer => answer,
        };
        answer.map_err(failed)
    }
}

/// After which errors the next call needs a new connection. A server that does
/// not answer may be at the end of a connection that is none any more; one that
/// became a replica has a successor behind the same name.
fn ends_a_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        )
        // Before 7.0, what a script met was in the text alone.
        || error.detail().is_some_and(|text| text.contains("READONLY"))
}

/// Whether another server of a cluster has what was asked for, or will have it
/// in a moment: then nobody has carried out anything.
fn is_elsewhere(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ClusterConnectionNotFound
            | ErrorKind::Server(
                ServerErrorKind::Moved
                    | ServerErrorKind::Ask
                    | ServerErrorKind::TryAgain
                    | ServerErrorKind::ClusterDown
            )
    )
}

fn too_late<T>() -> RedisResult<T> {
    Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
}

/// The driver's own says who we are.
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
