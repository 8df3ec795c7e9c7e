//! The connection to the server, and the next one when it breaks.

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
    service: Option<Box<dyn AnyService>>,
}

/// A client of whatever handler.
trait AnyService: Send + Sync {
    fn close(&mut self) -> BoxFuture<'_, ()>;
}

impl<S: Service<RoleClient>> AnyService for RunningService<RoleClient, S> {
    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // How it ended is no concern any more.
            let _ = Self::close(self).await;
        })
    }
}

impl From<Peer<RoleClient>> for Connection {
    fn from(peer: Peer<RoleClient>) -> Self {
        Self {
            peer,
            service: None,
        }
    }
}

impl<S: Service<RoleClient>> From<RunningService<RoleClient, S>> for Connection {
    fn from(service: RunningService<RoleClient, S>) -> Self {
        Self {
            peer: service.peer().clone(),
            service: Some(Box::new(service)),
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
    peer: Peer<RoleClient>,
    service: Mutex<Option<Box<dyn AnyService>>>,
    /// What the server publishes, as far as it was asked.
    pub(super) tools: Mutex<Option<ToolList>>,
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
    /// while one is made waits for that one, and not longer than for its own.
    pub(super) async fn live(&self, within: Duration) -> Result<Arc<Live>, Trouble> {
        match timeout(within, self.connected()).await {
            Ok(connected) => connected,
            Err(elapsed) => Err(Trouble::Unreachable(elapsed.into())),
        }
    }

    async fn connected(&self) -> Result<Arc<Live>, Trouble> {
        let mut live = self.live.lock().await;
        if let Some(live) = live.as_ref()
            && !live.peer.is_transport_closed()
        {
            return Ok(Arc::clone(live));
        }
        let Some(connect) = &self.connect else {
            return Err(Trouble::Gone(ServiceError::TransportClosed.into()));
        };
        *live = None;
        let connection = connect().await.map_err(Trouble::Unreachable)?;
        Ok(Arc::clone(live.insert(Arc::new(Live::new(connection)))))
    }

    /// This connection is not to be used again, if there can be another.
    pub(super) async fn give_up(&self, failed: &Arc<Live>) {
        let mut live = self.live.lock().await;
        if self.connect.is_some() && live.as_ref().is_some_and(|live| Arc::ptr_eq(live, failed)) {
            *live = None;
        }
    }

    /// Closes the connection, and waits until it is closed.
    pub(super) async fn close(&self) {
        let live = self.live.lock().await.take();
        if let Some(live) = live
            && let Some(mut service) = live.service.lock().await.take()
        {
            service.close().await;
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
            peer: connection.peer,
            service: Mutex::new(connection.service),
            tools: Mutex::default(),
            unanswered: AtomicU32::new(0),
        }
    }

    pub(super) fn peer(&self) -> &Peer<RoleClient> {
        &self.peer
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
