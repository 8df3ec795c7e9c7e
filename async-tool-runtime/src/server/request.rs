//! On whose behalf a request is made.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::service::RequestContext;

use crate::refusal::Refusal;
use crate::task::Principal;
use crate::telemetry::TraceContext;

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

/// Where in its caller's trace a request is: as its `_meta` says, which is MCP's
/// convention, else as its HTTP headers do. The two are never mixed.
pub(super) fn trace_of(context: &RequestContext<RoleServer>) -> Option<TraceContext> {
    let meta = &context.meta;
    let said = meta
        .get_traceparent()
        .and_then(|parent| TraceContext::read(parent, meta.get_tracestate()));
    said.or_else(|| {
        let headers = &Request::new(context).http()?.headers;
        let mut parents = headers.get_all("traceparent").iter();
        let parent = parents.next()?.to_str().ok()?;
        if parents.next().is_some() {
            return None;
        }
        // Several are parts of one list.
        let states = headers.get_all("tracestate").iter();
        let states: Option<Vec<&str>> = states.map(|state| state.to_str().ok()).collect();
        let state = states.unwrap_or_default().join(",");
        TraceContext::read(parent, Some(&state))
    })
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
