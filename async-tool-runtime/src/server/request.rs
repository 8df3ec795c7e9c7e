//! On whose behalf a request is made.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::service::RequestContext;

use crate::refusal::Refusal;
use crate::task::Principal;

/// A request, for the application's function that finds its principal.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    context: &'a RequestContext<RoleServer>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(context: &'a RequestContext<RoleServer>) -> Self {
        Self { context }
    }

    /// The HTTP request's head (method, URI, headers, and the extensions that
    /// middleware put there). None on transports other than HTTP.
    pub fn http(self) -> Option<&'a http::request::Parts> {
        self.context.extensions.get()
    }

    /// The whole of what rmcp knows about the request.
    pub fn context(self) -> &'a RequestContext<RoleServer> {
        self.context
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.context.id)
            .finish_non_exhaustive()
    }
}

type FindPrincipal = dyn Fn(Request<'_>) -> Option<Principal> + Send + Sync;

/// How principals are found, and whether there must be one.
#[derive(Clone, Default)]
pub(crate) struct PrincipalRule {
    pub(crate) find: Option<Arc<FindPrincipal>>,
    pub(crate) required: bool,
}

impl PrincipalRule {
    /// On whose behalf a request is made.
    ///
    /// # Errors
    ///
    /// Nobody was found, and there must be somebody; or the application's
    /// function panicked: rmcp does not answer a request whose handler does.
    pub(crate) fn of(
        &self,
        context: &RequestContext<RoleServer>,
    ) -> Result<Option<Principal>, Refusal> {
        let find = || self.find.as_ref()?(Request::new(context));
        let principal = catch_unwind(AssertUnwindSafe(find)).map_err(|_| Refusal::Internal)?;
        if principal.is_none() && self.required {
            return Err(Refusal::Unauthenticated);
        }
        Ok(principal)
    }
}
