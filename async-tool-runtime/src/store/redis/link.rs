//! Connections to a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::error::{failed, say};
use super::script::{Arguments, Script};
use crate::store::StoreError;

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// How long a server may take to answer.
const ANSWER: Duration = Duration::from_secs(15);
/// How long a call may take, with reconnecting.
const CALL: Duration = Duration::from_secs(25);

/// Where the server is, and who we are.
pub(super) fn locate(url: &str) -> Result<Client, StoreError> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "redis" | "valkey" | "unix" | "redis+unix" => {}
        "rediss" | "valkeys" if cfg!(feature = "redis-tls") => {}
        "rediss" | "valkeys" => {
            return Err(say(
                "a `rediss:` URL needs TLS, and this program was built without the feature `redis-tls`",
            ));
        }
        _ => {
            return Err(say(
                "the URL is to begin with `redis://` or `rediss://`, as in `redis://localhost:6379`",
            ));
        }
    }
    // The driver's errors are not quoted: the URL may have a password in it.
    let unusable = |_| say("the URL is not one of a Redis server");
    let info: ConnectionInfo = url.into_connection_info().map_err(unusable)?;
    // A server then says when it closes a connection, so that the next call
    // finds a new one.
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
    Client::open(info).map_err(unusable)
}

/// A connection that all calls share, and that is made anew when it is lost.
///
/// The driver's own manager would keep an error of connecting that is none of
/// the network's, and never try again.
#[derive(Clone)]
pub(super) struct Link {
    client: Client,
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
    connection: MultiplexedConnection,
    lost: Arc<AtomicBool>,
}

impl Link {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            state: Arc::default(),
        }
    }

    /// Sends a command, once: nobody can tell whether one that was not answered
    /// has been carried out.
    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let calling = async {
            let mut shared = self.shared().await?;
            let answer = shared.connection.send_packed_command(command).await;
            // Errors may be inside of an answer.
            let answer = answer.and_then(Value::extract_error);
            if let Err(error) = &answer
                && ends_a_connection(error)
            {
                shared.lost.store(true, Ordering::Relaxed);
            }
            answer
        };
        timeout(CALL, calling).await.unwrap_or_else(|_| too_late())
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
        match self.connect().await {
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
        let mark = Arc::clone(&lost);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER))
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    mark.store(true, Ordering::Relaxed);
                }
                Ok::<(), std::convert::Infallible>(())
            });
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let connection = timeout(CONNECT, connecting)
            .await
            .unwrap_or_else(|_| too_late())?;
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
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

fn too_late<T>() -> RedisResult<T> {
    Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
