//! The connection to the server, and the next one when it breaks.

use std::any::Any;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rmcp::RoleClient;
use rmcp::service::{Peer, RunningService, Service, ServiceError};
use tokio::sync::Mutex;
use tokio::time::{interval, timeout};

use super::attempt::Trouble;
use super::route::ToolList;
use crate::error::BoxError;

/// A connection to a server: what rmcp's `serve` gives to a client, or the
/// [`Peer`] of one that is kept elsewhere.
pub struct Connection {
    peer: Peer<RoleClient>,
    /// Ends the connection when it is dropped.
    _service: Option<Box<dyn Any + Send + Sync>>,
}

impl From<Peer<RoleClient>> for Connection {
    fn from(peer: Peer<RoleClient>) -> Self {
        Self {
            peer,
            _service: None,
        }
    }
}

impl<S: Service<RoleClient>> From<RunningService<RoleClient, S>> for Connection {
    fn from(service: RunningService<RoleClient, S>) -> Self {
        Self {
            peer: service.peer().clone(),
            _service: Some(Box::new(service)),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("closed", &self.peer.is_transport_closed())
            .finish_non_exhaustive()
    }
}

/// Makes connections.
pub(super) type Connect =
    Box<dyn Fn() -> BoxFuture<'static, Result<Connection, BoxError>> + Send + Sync>;

/// The present connection, and where the next one comes from.
pub(super) struct Link {
    connect: Option<Connect>,
    live: Mutex<Option<Arc<Live>>>,
}

/// A connection in use.
pub(super) struct Live {
    connection: Connection,
    /// What the server publishes, as far as it was asked.
    pub(super) tools: Mutex<Option<Arc<ToolList>>>,
    /// How many requests in a row got no answer in time; as many as it may be
    /// where one could not be sent.
    unanswered: AtomicU32,
}

/// So many requests in a row without an answer in time, and a connection is
/// given up. The first may have met a server that has a lot to do, and other
/// calls may use the same connection.
const UNANSWERED: u32 = 2;

impl Link {
    /// One connection, and no other after it.
    pub(super) fn fixed(connection: Connection) -> Self {
        Self {
            connect: None,
            live: Mutex::new(Some(Arc::new(Live::new(connection)))),
        }
    }

    pub(super) fn connecting(connect: Connect) -> Self {
        Self {
            connect: Some(connect),
            live: Mutex::new(None),
        }
    }

    /// The connection; a new one if there is none that works. Whoever comes
    /// while one is made waits for that one.
    pub(super) async fn live(&self, within: Duration) -> Result<Arc<Live>, Trouble> {
        let mut live = self.live.lock().await;
        if let Some(live) = live.as_ref()
            && !live.peer().is_transport_closed()
        {
            return Ok(Arc::clone(live));
        }
        let Some(connect) = &self.connect else {
            return Err(Trouble::Gone(ServiceError::TransportClosed.into()));
        };
        *live = None;
        let connection = match timeout(within, connect()).await {
            Ok(connected) => connected.map_err(Trouble::Unreachable)?,
            Err(elapsed) => return Err(Trouble::Unreachable(elapsed.into())),
        };
        Ok(Arc::clone(live.insert(Arc::new(Live::new(connection)))))
    }

    /// This connection is not to be used again, if there can be another.
    pub(super) async fn give_up(&self, failed: &Arc<Live>) {
        let mut live = self.live.lock().await;
        if self.connect.is_some() && live.as_ref().is_some_and(|live| Arc::ptr_eq(live, failed)) {
            *live = None;
        }
    }
}

/// Why a request has no answer.
pub(super) enum NoAnswer {
    TimedOut(BoxError),
    Service(ServiceError),
}

impl Live {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            tools: Mutex::default(),
            unanswered: AtomicU32::new(0),
        }
    }

    pub(super) fn peer(&self) -> &Peer<RoleClient> {
        &self.connection.peer
    }

    /// Waits for the answer to a request, for so long at most. The request is
    /// taken back when it is dropped.
    pub(super) async fn answer<A>(
        &self,
        within: Duration,
        request: impl Future<Output = Result<A, ServiceError>>,
    ) -> Result<A, NoAnswer> {
        let answered = timeout(within, async {
            tokio::select! {
                answer = request => answer,
                () = self.closed() => Err(ServiceError::TransportClosed),
            }
        });
        match answered.await {
            Err(elapsed) => {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
                Err(NoAnswer::TimedOut(elapsed.into()))
            }
            Ok(Err(error @ (ServiceError::TransportSend(_) | ServiceError::TransportClosed))) => {
                self.unanswered.store(UNANSWERED, Ordering::Relaxed);
                Err(NoAnswer::Service(error))
            }
            Ok(answer) => {
                self.unanswered.store(0, Ordering::Relaxed);
                answer.map_err(NoAnswer::Service)
            }
        }
    }

    /// Requests get no answers any more.
    pub(super) fn is_broken(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= UNANSWERED
    }

    /// Completes when the connection has ended. (Very rarely, rmcp leaves a
    /// request without an answer that is sent while the connection breaks.)
    async fn closed(&self) {
        let mut clock = pin!(interval(Duration::from_secs(1)));
        // The first tick is at once, when the answer may be there already.
        clock.tick().await;
        while !self.peer().is_transport_closed() {
            clock.tick().await;
        }
    }
}
