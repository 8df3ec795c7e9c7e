//! `resources/subscribe` and `resources/unsubscribe` of the versions before
//! 2026-07-28: a subscription lasts as long as its connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{InitializeRequestParams, ResourceUpdatedNotificationParam};
use rmcp::service::{Peer, RequestContext};
use rmcp::{ErrorData, RoleServer};
use tokio::task::AbortHandle;

use super::ToolServer;
use super::listener::Listener;
use super::resources::{self, task_of};
use crate::engine::{Asker, Following};
use crate::refusal::Refusal;
use crate::task::TaskId;

/// Subscriptions of one connection at most.
pub(crate) const MAX_PER_CONNECTION: usize = 256;
const SESSION_HEADER: &str = "mcp-session-id";

/// Who subscribed to what.
///
/// rmcp has no name for a connection. What its client said in the handshake is
/// kept once for each, and while we hold it, its address is nobody else's.
#[derive(Default)]
pub(crate) struct Subscribers {
    connections: Mutex<HashMap<usize, Connection>>,
}

struct Connection {
    peer: Peer<RoleServer>,
    subscriptions: HashMap<TaskId, Subscription>,
    _handshake: Arc<InitializeRequestParams>,
}

/// Ends when it is dropped.
struct Subscription(AbortHandle);

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Subscribers {
    fn connections(&self) -> MutexGuard<'_, HashMap<usize, Connection>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a subscription, unless the connection has it already.
    fn add(
        &self,
        handshake: Arc<InitializeRequestParams>,
        peer: &Peer<RoleServer>,
        id: TaskId,
        start: impl FnOnce() -> AbortHandle,
    ) -> Result<(), Refusal> {
        let mut connections = self.connections();
        connections.retain(|_, connection| !connection.peer.is_transport_closed());
        let connection = connections
            .entry(Arc::as_ptr(&handshake).addr())
            .or_insert_with(|| Connection {
                peer: peer.clone(),
                subscriptions: HashMap::new(),
                _handshake: handshake,
            });
        let subscriptions = &mut connection.subscriptions;
        subscriptions.retain(|_, subscription| !subscription.0.is_finished());
        if subscriptions.contains_key(&id) {
            return Ok(());
        }
        if subscriptions.len() >= MAX_PER_CONNECTION {
            return Err(Refusal::TooManySubscriptions);
        }
        subscriptions.insert(id, Subscription(start()));
        Ok(())
    }

    fn remove(&self, handshake: &Arc<InitializeRequestParams>, id: TaskId) {
        let mut connections = self.connections();
        if let Some(connection) = connections.get_mut(&Arc::as_ptr(handshake).addr()) {
            connection.subscriptions.remove(&id);
        }
    }
}

impl ToolServer {
    pub(crate) async fn subscribe(
        &self,
        uri: &str,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let handshake = session(&context)?;
        let subscribed = async {
            let principal = self.principal.of(&context)?;
            let id = task_of(uri).ok_or(Refusal::TaskNotFound)?;
            let asker = Asker {
                tool: None,
                principal: principal.as_ref(),
            };
            let following = self.engine.follow_task(asker, id).await?;
            let listener = Listener {
                context: context.clone(),
                principal,
                rule: self.principal.clone(),
            };
            let told = tell(listener, uri.to_owned(), following);
            self.subscribers.add(handshake, &context.peer, id, || {
                tokio::spawn(told).abort_handle()
            })
        };
        subscribed
            .await
            .map_err(|refusal| resources::error(refusal, uri))
    }

    /// Ends a subscription; there is nothing to end where there is none.
    pub(crate) fn unsubscribe(
        &self,
        uri: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let handshake = session(context)?;
        if let Some(id) = task_of(uri) {
            self.subscribers.remove(&handshake, id);
        }
        Ok(())
    }
}

/// What stands for the connection of a request.
///
/// # Errors
///
/// There is none on which anything could be told later.
fn session(
    context: &RequestContext<RoleServer>,
) -> Result<Arc<InitializeRequestParams>, ErrorData> {
    let http: Option<&http::request::Parts> = context.extensions.get();
    let stateless = http.is_some_and(|parts| !parts.headers.contains_key(SESSION_HEADER));
    context
        .peer
        .peer_info()
        .filter(|_| !stateless)
        .ok_or_else(|| {
            ErrorData::invalid_request("resources can be subscribed to in a session only", None)
        })
}

async fn tell(listener: Listener, uri: String, mut following: Following) {
    let telling = async {
        while following.next().await.is_some() && listener.is_still_allowed() {
            let update = ResourceUpdatedNotificationParam::new(&*uri);
            let told = listener.peer().notify_resource_updated(update).await;
            if told.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = telling => {}
        () = listener.gone() => {}
    }
}
