//! A client that is told of changes as long as it may be.

use rmcp::RoleServer;
use rmcp::service::{Peer, RequestContext};
use std::time::Duration;

use super::request::PrincipalRule;
use crate::task::Principal;

/// How often it is looked whether a connection still exists, which rmcp tells
/// nobody.
const LOOK: Duration = Duration::from_secs(1);

/// Who asked to be told.
pub(crate) struct Listener {
    pub(crate) context: RequestContext<RoleServer>,
    pub(crate) principal: Option<Principal>,
    pub(crate) rule: PrincipalRule,
}

impl Listener {
    pub(crate) fn peer(&self) -> &Peer<RoleServer> {
        &self.context.peer
    }

    /// What a request was allowed, its token may not allow any more.
    pub(crate) fn is_still_allowed(&self) -> bool {
        self.rule
            .of(&self.context)
            .is_ok_and(|principal| principal == self.principal)
    }

    /// Completes when the connection is gone.
    pub(crate) async fn gone(&self) {
        while !self.peer().is_transport_closed() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
