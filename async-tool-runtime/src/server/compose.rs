//! Our tools beside a user's own handler.
//!
//! [`Composed`] stands before the user's handler and answers what concerns our
//! tools. Everything else passes through unread. Three things are joined,
//! since a client asks for them once: the tool list, the capabilities, and the
//! instructions.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use rmcp::handler::server::ServerHandler;
#[expect(deprecated, reason = "legacy sessions still use it")]
use rmcp::model::SetLevelRequestParams;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CancelledNotificationParam,
    CompleteRequestParams, CompleteResult, CustomNotification, CustomRequest, CustomResult,
    DiscoverResult, ErrorCode, GetPromptRequestParams, GetPromptResponse, GetSkillRequestParams,
    GetSkillResult, GetTaskParams, GetTaskResult, InitializeRequestParams, InitializeResult,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion,
    ReadResourceDirectoryRequestParams, ReadResourceDirectoryResult, ReadResourceRequestParams,
    ReadResourceResponse, ServerCapabilities, ServerConfig, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData as McpError, RoleServer};

/// What composition needs of our side, and no more.
///
/// Our side serves tools and nothing else. What it serves beyond them one day
/// (resources, native tasks) needs a method here, a route in [`Composed`] and
/// its capability in [`Composed::merge`], all three.
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
    ) -> BoxFuture<'a, Result<CallToolResponse, McpError>>;

    /// The clashes that were logged.
    fn clash_log(&self) -> &ClashLog;
}

/// Names of ours that were also seen in an inner handler's list.
///
/// Our side keeps it and not the composition: an HTTP service may compose a
/// handler per session, or per request, and the log is to say it once.
#[derive(Debug, Default)]
pub(crate) struct ClashLog {
    // Only names of our own tools get here, so there is a bound (invariant 11).
    seen: Mutex<BTreeSet<String>>,
}

impl ClashLog {
    /// Logs those of the names that were not logged before.
    fn record(&self, mut names: Vec<String>) {
        names.sort_unstable();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|name| seen.insert(name.clone()));
        drop(seen);
        if !names.is_empty() {
            tracing::error!(
                "{}; until then the handler's tools of these names are unreachable",
                NameClash { names }
            );
        }
    }
}

/// A handler has tools of the same names as ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameClash {
    names: Vec<String>,
}

impl NameClash {
    /// The names, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl fmt::Display for NameClash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the wrapped handler and the async tools both have tools named ")?;
        for (i, name) in self.names.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}`{name}`")?;
        }
        f.write_str(
            "; rename the handler's, or the async tool with \
             `#[async_tool(name = \"...\")]`, or one tool of its family with \
             `#[async_tool(names(initiate = \"...\", status = \"...\", cancel = \"...\"))]`",
        )
    }
}

impl std::error::Error for NameClash {}

/// A user's own [`ServerHandler`] with our tools added to it.
///
/// - `tools/list` begins with our tools, sorted; the handler's pages follow
///   unchanged, with its cursors. `tools/call` goes by name. A handler that
///   has no method `tools/list` is one without tools.
/// - The server's name, version and protocol versions are the handler's. The
///   capability `tools` and our instructions are added to its own.
/// - Every other request and every notification is the handler's, as it came.
/// - `subscriptions/listen` reaches the handler if it asks for anything, since
///   nothing of ours can be subscribed to; a subscription to nothing is held
///   open without it.
///
/// A name clash between a tool of the handler's and one of ours is refused
/// when the two are composed, if the handler implements
/// [`get_tool`](ServerHandler::get_tool), as `#[tool_handler]` does. Otherwise
/// it shows in the first list: it is logged as an error, and the handler's
/// tool of that name is left out.
///
/// Clones share the one set of our tools, so a service that wants a handler
/// per session can be given clones.
#[derive(Clone)]
pub struct Composed<H> {
    ours: Arc<dyn OwnTools>,
    inner: H,
}

impl<H: ServerHandler> Composed<H> {
    /// # Errors
    ///
    /// [`NameClash`], with all clashing names, if `inner` says that it has a
    /// tool of a name of ours.
    pub(crate) fn new(ours: Arc<dyn OwnTools>, inner: H) -> Result<Self, NameClash> {
        debug_assert!(ours.tools().is_sorted_by_key(|tool| &tool.name));
        let names: Vec<String> = ours
            .tools()
            .iter()
            .filter(|tool| inner.get_tool(&tool.name).is_some())
            .map(|tool| tool.name.to_string())
            .collect();
        if names.is_empty() {
            Ok(Self { ours, inner })
        } else {
            Err(NameClash { names })
        }
    }

    /// The user's handler.
    pub fn inner(&self) -> &H {
        &self.inner
    }

    /// Our tool of this name.
    fn own_tool(&self, name: &str) -> Option<&Tool> {
        let tools = self.ours.tools();
        let index = tools
            .binary_search_by(|tool| tool.name.as_ref().cmp(name))
            .ok()?;
        tools.get(index)
    }

    /// Adds what a client must know of us to what the inner handler says of
    /// itself.
    ///
    /// It works on the inner handler's *answer*, never on its configuration:
    /// a handler that overrides `initialize` or `discover` answers what it
    /// likes, and keeps all of it.
    fn merge(&self, capabilities: &mut ServerCapabilities, instructions: &mut Option<String>) {
        // Our list never changes, so `list_changed` stays as the inner handler
        // has it.
        capabilities.tools.get_or_insert_default();
        if let Some(ours) = self.ours.instructions() {
            *instructions = Some(match instructions.take() {
                Some(inner) if !inner.trim().is_empty() => {
                    format!("{}\n\n{ours}", inner.trim_end())
                }
                _ => ours.to_owned(),
            });
        }
    }

    fn merged(&self, mut info: InitializeResult) -> InitializeResult {
        self.merge(&mut info.capabilities, &mut info.instructions);
        info
    }

    /// Takes out of a page of the inner handler's what nobody could call.
    fn leave_out_clashes(&self, tools: &mut Vec<Tool>) {
        let clashes = tools
            .extract_if(.., |tool| self.own_tool(&tool.name).is_some())
            .map(|tool| tool.name.into_owned())
            .collect();
        self.ours.clash_log().record(clashes);
    }
}

impl<H> fmt::Debug for Composed<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.ours.tools().iter().map(|t| t.name.as_ref()).collect();
        f.debug_struct("Composed")
            .field("async_tools", &names)
            .finish_non_exhaustive()
    }
}

/// Requests that are the inner handler's alone.
macro_rules! pass_requests {
    ($($(#[$attribute:meta])* fn $method:ident($($request:ident: $Params:ty)?) -> $Answer:ty;)*) => {$(
        $(#[$attribute])*
        async fn $method(
            &self,
            $($request: $Params,)?
            context: RequestContext<RoleServer>,
        ) -> Result<$Answer, McpError> {
            self.inner.$method($($request,)? context).await
        }
    )*};
}

/// Notifications: our side listens to none.
macro_rules! pass_notifications {
    ($(fn $method:ident($($notification:ident: $Params:ty)?);)*) => {$(
        async fn $method(
            &self,
            $($notification: $Params,)?
            context: NotificationContext<RoleServer>,
        ) {
            self.inner.$method($($notification,)? context).await;
        }
    )*};
}

// Every method of rmcp's trait has a default, so a forgotten one compiles, and
// the inner handler never hears of it. The lint makes an error of that, also
// for a method that a later rmcp adds. That what is written here does arrive is
// proved by `tests::forwarding`.
#[deny(clippy::missing_trait_methods)]
impl<H: ServerHandler> ServerHandler for Composed<H> {
    fn get_info(&self) -> ServerConfig {
        self.merged(self.inner.get_info())
    }

    async fn initialize(
        &self,
        request: InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<InitializeResult, McpError> {
        // An override of the inner handler's may leave this out. If it stores
        // something else, it does so after us, and that stays.
        context.peer.set_peer_info(request.clone());
        let info = self.inner.initialize(request, context).await?;
        Ok(self.merged(info))
    }

    fn negotiate_initialize(
        &self,
        request: &InitializeRequestParams,
    ) -> Result<InitializeResult, McpError> {
        let info = self.inner.negotiate_initialize(request)?;
        Ok(self.merged(info))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.inner.supported_protocol_versions()
    }

    async fn discover(
        &self,
        context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, McpError> {
        let mut found = self.inner.discover(context).await?;
        self.merge(&mut found.capabilities, &mut found.instructions);
        Ok(found)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, McpError> {
        // A cursor is always the inner handler's: all of ours are on page one.
        let is_first = request.as_ref().is_none_or(|page| page.cursor.is_none());
        let mut page = match self.inner.list_tools(request, context).await {
            // A handler without the capability may refuse what no client would
            // ask of it alone; composed, the client asks for our tools.
            Err(error) if is_first && error.code == ErrorCode::METHOD_NOT_FOUND => {
                ListToolsResult::default()
            }
            answer => answer?,
        };
        self.leave_out_clashes(&mut page.tools);
        if is_first {
            page.tools.splice(..0, self.ours.tools().iter().cloned());
        }
        Ok(page)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.own_tool(name)
            .cloned()
            .or_else(|| self.inner.get_tool(name))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, McpError> {
        if self.own_tool(&request.name).is_some() {
            self.ours.call(request, context).await
        } else {
            self.inner.call_tool(request, context).await
        }
    }

    // Once our tasks can be subscribed to, their URIs must be taken out of
    // `requested` before the inner handler sees it (one that accepts whatever
    // it is asked for would accept ours), and what it accepts must be cut down
    // to what its own capabilities allow: rmcp does that with the merged ones.
    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        self.inner.accepted_subscription_filter(requested)
    }

    // rmcp gets here if the inner handler accepted a part, which may be
    // nothing. The context cannot be split: our side's part will have to work
    // with a clone of its sink and of its cancellation token.
    async fn listen(&self, context: SubscriptionContext) -> Result<(), McpError> {
        if asks_for_anything(context.requested()) {
            self.inner.listen(context).await
        } else {
            context.cancelled().await;
            Ok(())
        }
    }

    // Ids of protocol tasks and URIs of resources are all the inner handler's:
    // our side has neither yet.
    pass_requests! {
        fn ping() -> ();
        fn complete(request: CompleteRequestParams) -> CompleteResult;
        #[expect(deprecated, reason = "legacy sessions still use it")]
        fn set_level(request: SetLevelRequestParams) -> ();
        fn get_prompt(request: GetPromptRequestParams) -> GetPromptResponse;
        fn list_prompts(request: Option<PaginatedRequestParams>) -> ListPromptsResult;
        fn list_resources(request: Option<PaginatedRequestParams>) -> ListResourcesResult;
        fn list_resource_templates(request: Option<PaginatedRequestParams>) -> ListResourceTemplatesResult;
        fn read_resource(request: ReadResourceRequestParams) -> ReadResourceResponse;
        #[expect(deprecated, reason = "legacy sessions still use it")]
        fn subscribe(request: SubscribeRequestParams) -> ();
        #[expect(deprecated, reason = "legacy sessions still use it")]
        fn unsubscribe(request: UnsubscribeRequestParams) -> ();
        fn on_custom_request(request: CustomRequest) -> CustomResult;
        fn get_task(request: GetTaskParams) -> GetTaskResult;
        fn update_task(request: UpdateTaskParams) -> ();
        fn cancel_task(request: CancelTaskParams) -> ();
        fn list_skills(request: Option<PaginatedRequestParams>) -> ListSkillsResult;
        fn get_skill(request: GetSkillRequestParams) -> GetSkillResult;
        fn read_resource_directory(request: ReadResourceDirectoryRequestParams) -> ReadResourceDirectoryResult;
    }

    pass_notifications! {
        fn on_cancelled(notification: CancelledNotificationParam);
        fn on_progress(notification: ProgressNotificationParam);
        fn on_initialized();
        fn on_roots_list_changed();
        fn on_custom_notification(notification: CustomNotification);
    }
}

fn asks_for_anything(requested: &SubscriptionFilter) -> bool {
    !requested.is_subset_of(&SubscriptionFilter::new())
}

#[cfg(test)]
mod tests;
