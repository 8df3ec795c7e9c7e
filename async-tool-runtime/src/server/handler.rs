//! [`AsyncTools`]: a server of tools, to serve as it is or to combine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskMethod, CancelTaskParams, CustomRequest,
    CustomResult, GetTaskMethod, GetTaskParams, GetTaskResult, Implementation,
    InitializeRequestParams, InitializeResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ServerCapabilities, ServerConfig, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskMethod, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::compose::{Answer, ClashLog, Composed, NameClash, OwnTools};
use super::legacy_tasks::{Custom, call_params, no_method};
use super::listen::{self, Subscription};
use super::{ToolServer, native, resources};
use crate::builder::AsyncToolsBuilder;
use crate::engine::Health;

/// What the server says about itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerIdentity {
    pub(crate) info: Option<(String, String)>,
    pub(crate) instructions: Option<String>,
}

/// A running server of tools: it accepts calls, executes tasks, and is a
/// [`ServerHandler`] for rmcp.
///
/// Cloning gives another handle to the same server. When the last handle is
/// dropped without [`shutdown`](Self::shutdown), everything stops as in a
/// crash: nothing is written any more, and running tasks are interrupted.
#[derive(Clone)]
pub struct AsyncTools {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) server: ToolServer,
    identity: ServerIdentity,
    clash_log: ClashLog,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.server.engine.abandon();
    }
}

impl AsyncTools {
    /// Starts to configure a server.
    pub fn builder() -> AsyncToolsBuilder {
        AsyncToolsBuilder::default()
    }

    pub(crate) fn new(server: ToolServer, identity: ServerIdentity) -> Self {
        Self {
            shared: Arc::new(Shared {
                server,
                identity,
                clash_log: ClashLog::default(),
            }),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The published tools, sorted by name.
    pub fn tools(&self) -> &[Tool] {
        self.shared.server.tools()
    }

    /// Adds these tools to a handler of the application's own: its tools,
    /// prompts, resources and everything else keep working.
    ///
    /// The application serves the result with rmcp, and calls
    /// [`shutdown`](Self::shutdown) when the service has ended: only
    /// [`serve_stdio`](Self::serve_stdio) does that by itself.
    ///
    /// # Errors
    ///
    /// [`NameClash`] if the handler has tools of the same names and implements
    /// [`get_tool`](ServerHandler::get_tool), as rmcp's `#[tool_handler]` does.
    /// With other handlers a clash is logged at the first `tools/list`.
    pub fn wrap<H: ServerHandler>(&self, handler: H) -> Result<Composed<H>, NameClash> {
        Composed::new(Arc::new(self.clone()), handler)
    }

    /// Ends the server in order: no new task is accepted, waiting calls are
    /// answered at once, running attempts get the drain time to end by
    /// themselves, and a second more after being asked to stop. What has not
    /// ended then is settled as `interrupted`.
    ///
    /// Tasks that are queued stay in the store. Calls about tasks go on being
    /// answered as long as the server is served.
    ///
    /// # Cancel safety
    ///
    /// Call it again if the future was dropped.
    pub async fn shutdown(&self) {
        let engine = &self.shared.server.engine;
        self.shutdown_within(engine.config.drain).await;
    }

    /// How the server is: for health checks, dashboards, people. Cheap: the store
    /// is asked once a second at most, however often this is called, and given up
    /// after two seconds, so that a store that hangs does not hang this.
    ///
    /// ```
    /// # use async_tool_runtime::AsyncTools;
    /// async fn status_code(tools: &AsyncTools) -> u16 {
    ///     if tools.health().await.is_ready() { 200 } else { 503 }
    /// }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn health(&self) -> Health {
        self.shared.server.engine.health().await
    }

    pub(crate) async fn shutdown_within(&self, drain: Duration) {
        /// What a host leaves to a stdio server after closing its input is
        /// about two seconds; this and settling fit into 1.5.
        const GRACE: Duration = Duration::from_secs(1);
        self.shared.server.engine.shutdown(drain, GRACE).await;
    }
}

impl ServerHandler for AsyncTools {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_resources_subscribe();
        let mut config = ServerConfig::new(if self.shared.server.families.has_native() {
            capabilities.enable_tasks().build()
        } else {
            capabilities.build()
        });
        config.server_info = match &self.shared.identity.info {
            Some((name, version)) => Implementation::new(name, version),
            None => Implementation::new("async-tool", env!("CARGO_PKG_VERSION")),
        };
        config
            .instructions
            .clone_from(&self.shared.identity.instructions);
        config
    }

    /// `initialize` is of the versions before 2026-07-28, which must not know the
    /// extension (SEP-2663, backward compatibility).
    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let mut info = self.negotiate_initialize(&request)?;
        native::withhold(&mut info.capabilities);
        let server = &self.shared.server;
        server.add_legacy_capability(&info.protocol_version, &mut info.capabilities);
        Ok(info)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools().to_vec()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools()
            .binary_search_by(|tool| tool.name.as_ref().cmp(name))
            .ok()
            .map(|index| self.tools()[index].clone())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.clone();
        let answer = self.shared.server.call(request, &context).await;
        answer.unwrap_or_else(|| {
            Err(ErrorData::invalid_params(
                format!("unknown tool: {name}"),
                None,
            ))
        })
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        if !native::is_modern(&context) {
            return Err(ErrorData::method_not_found::<GetTaskMethod>());
        }
        self.shared.server.get_task(&request, &context).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if !native::is_modern(&context) {
            return Err(ErrorData::method_not_found::<UpdateTaskMethod>());
        }
        self.shared.server.update_task(request, &context).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if !native::is_modern(&context) {
            return Err(ErrorData::method_not_found::<CancelTaskMethod>());
        }
        self.shared.server.cancel_task(&request, &context).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.shared.server.list_resources(request, &context).await
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let read = self.shared.server.read_resource(&request.uri, &context);
        read.await.map(ReadResourceResponse::from)
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.server.subscribe(&request.uri, context).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.server.unsubscribe(&request.uri, &context)
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(listen::own_part(requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let server = &self.shared.server;
        let request = context.request_context();
        let subscription = server.subscription(context.accepted(), request).await?;
        server.tell(subscription).await;
        Ok(())
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        match Custom::of(&request.method) {
            Some(Custom::UndeclaredListen) => Err(native::undeclared()),
            Some(Custom::ListTools) => {
                let page = self.list_tools(None, context.clone()).await?;
                Ok(self.shared.server.legacy_tools(page, &context))
            }
            Some(Custom::CallTool) => {
                let call = call_params(&request)?;
                self.shared.server.legacy_call(call, &context).await
            }
            Some(Custom::Task(method)) => {
                let server = &self.shared.server;
                server.legacy_task(method, &request, &context).await
            }
            None => Err(no_method(&request.method)),
        }
    }
}

impl OwnTools for AsyncTools {
    fn tools(&self) -> &[Tool] {
        self.tools()
    }

    fn instructions(&self) -> Option<&str> {
        let instructions = self.shared.identity.instructions.as_deref();
        instructions.filter(|text| !text.is_empty())
    }

    fn call<'a>(
        &'a self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Answer<'a, CallToolResponse> {
        Box::pin(self.call_tool(request, context))
    }

    fn list_resources<'a>(
        &'a self,
        page: Option<PaginatedRequestParams>,
        context: &'a RequestContext<RoleServer>,
    ) -> Answer<'a, ListResourcesResult> {
        Box::pin(self.shared.server.list_resources(page, context))
    }

    fn read_resource<'a>(
        &'a self,
        uri: &'a str,
        context: &'a RequestContext<RoleServer>,
    ) -> Answer<'a, ReadResourceResponse> {
        let read = self.shared.server.read_resource(uri, context);
        Box::pin(async { read.await.map(ReadResourceResponse::from) })
    }

    fn subscribe<'a>(
        &'a self,
        uri: &'a str,
        context: RequestContext<RoleServer>,
    ) -> Answer<'a, ()> {
        Box::pin(self.shared.server.subscribe(uri, context))
    }

    fn unsubscribe(
        &self,
        uri: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.server.unsubscribe(uri, context)
    }

    fn listen<'a>(
        &'a self,
        accepted: &'a SubscriptionFilter,
        context: &'a RequestContext<RoleServer>,
    ) -> Answer<'a, Subscription> {
        Box::pin(self.shared.server.subscription(accepted, context))
    }

    fn capabilities(&self) -> ServerCapabilities {
        self.get_info().capabilities
    }

    fn legacy_capabilities(&self, version: &ProtocolVersion) -> ServerCapabilities {
        let mut capabilities = self.capabilities();
        native::withhold(&mut capabilities);
        let server = &self.shared.server;
        server.add_legacy_capability(version, &mut capabilities);
        capabilities
    }

    fn get_task<'a>(
        &'a self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Answer<'a, GetTaskResult> {
        Box::pin(ServerHandler::get_task(self, request, context))
    }

    fn update_task<'a>(
        &'a self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Answer<'a, ()> {
        Box::pin(ServerHandler::update_task(self, request, context))
    }

    fn cancel_task<'a>(
        &'a self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Answer<'a, ()> {
        Box::pin(ServerHandler::cancel_task(self, request, context))
    }

    fn legacy_tools(
        &self,
        page: ListToolsResult,
        context: &RequestContext<RoleServer>,
    ) -> CustomResult {
        self.shared.server.legacy_tools(page, context)
    }

    fn has_legacy_tasks(&self, context: &RequestContext<RoleServer>) -> bool {
        self.shared.server.has_legacy_tasks(context)
    }

    fn custom<'a>(
        &'a self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Answer<'a, CustomResult> {
        Box::pin(self.on_custom_request(request, context))
    }

    fn host(&self) -> AsyncTools {
        self.clone()
    }

    fn tell(&self, subscription: Subscription) -> BoxFuture<'_, ()> {
        Box::pin(self.shared.server.tell(subscription))
    }

    fn clash_log(&self) -> &ClashLog {
        &self.shared.clash_log
    }
}

impl fmt::Debug for AsyncTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncTools")
            .field("tools", &self.tools().len())
            .finish_non_exhaustive()
    }
}
