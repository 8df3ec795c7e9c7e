//! What composition needs of our side, and no more.

use futures_util::future::BoxFuture;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ListResourcesResult, PaginatedRequestParams,
    ReadResourceResponse, SubscriptionFilter, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData as McpError, RoleServer};

use super::ClashLog;
use crate::server::listen::Subscription;

/// What is being answered.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, McpError>>;

/// Our side. What it serves one day beyond this needs a method here, a route
/// in [`Composed`](super::Composed) and its capability in
/// [`Composed::merge`](super::Composed), all three.
pub(crate) trait OwnTools: Send + Sync + 'static {
    /// Our tools, sorted by name; the same at every call.
    fn tools(&self) -> &[Tool];

    /// How to use our tools, for models to read; not empty.
    fn instructions(&self) -> Option<&str>;

    /// Answers a call of one of [`tools`](Self::tools).
    fn call<'a>(
        &'a self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Answer<'a, CallToolResponse>;

    /// A page of our resources.
    fn list_resources<'a>(
        &'a self,
        page: Option<PaginatedRequestParams>,
        context: &'a RequestContext<RoleServer>,
    ) -> Answer<'a, ListResourcesResult>;

    /// One of our resources.
    fn read_resource<'a>(
        &'a self,
        uri: &'a str,
        context: &'a RequestContext<RoleServer>,
    ) -> Answer<'a, ReadResourceResponse>;

    /// Subscribes to one of our resources.
    fn subscribe<'a>(&'a self, uri: &'a str, context: RequestContext<RoleServer>)
    -> Answer<'a, ()>;

    /// Ends such a subscription.
    fn unsubscribe(&self, uri: &str, context: &RequestContext<RoleServer>) -> Result<(), McpError>;

    /// Begins our part of a `subscriptions/listen`.
    fn listen<'a>(
        &'a self,
        accepted: &'a SubscriptionFilter,
        context: &'a RequestContext<RoleServer>,
    ) -> Answer<'a, Subscription>;

    /// Tells what our part has to tell, until nobody listens.
    fn tell(&self, subscription: Subscription) -> BoxFuture<'_, ()>;

    /// The clashes that were logged.
    fn clash_log(&self) -> &ClashLog;
}
