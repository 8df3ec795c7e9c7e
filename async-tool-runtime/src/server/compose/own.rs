//! What composition needs of our side, and no more.

use futures_util::future::BoxFuture;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CustomRequest, CustomResult,
    GetTaskParams, GetTaskResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ProtocolVersion, ReadResourceResponse, ServerCapabilities, SubscriptionFilter, Tool,
    UpdateTaskParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData as McpError, RoleServer};

use super::ClashLog;
use crate::server::AsyncTools;
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

    /// What we can do, to be joined with what the inner handler can.
    fn capabilities(&self) -> ServerCapabilities;

    /// The same under a version that begins with `initialize`.
    fn legacy_capabilities(&self, version: &ProtocolVersion) -> ServerCapabilities;

    /// One of our tasks, for the protocol's own methods.
    fn get_task<'a>(
        &'a self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Answer<'a, GetTaskResult>;

    /// Takes answers for one of our tasks.
    fn update_task<'a>(
        &'a self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Answer<'a, ()>;

    /// Asks one of our tasks to stop.
    fn cancel_task<'a>(
        &'a self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Answer<'a, ()>;

    /// A list of tools as a session of 2025-11-25 has it.
    fn legacy_tools(
        &self,
        page: ListToolsResult,
        context: &RequestContext<RoleServer>,
    ) -> CustomResult;

    /// Whether the core tasks of 2025-11-25 exist for a request.
    fn has_legacy_tasks(&self, context: &RequestContext<RoleServer>) -> bool;

    /// Answers a request that rmcp does not know.
    fn custom<'a>(
        &'a self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Answer<'a, CustomResult>;

    /// What ends in order when serving ends.
    fn host(&self) -> AsyncTools;

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
