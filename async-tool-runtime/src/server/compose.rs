//! Our tools beside a user's own handler.
//!
//! [`Composed`] stands before the user's handler and answers what concerns our
//! tools, and the tasks that are our resources. Everything else passes through
//! unread. What a client asks for once is joined: lists, capabilities,
//! instructions, subscriptions.

mod own;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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

pub(crate) use self::own::{Answer, OwnTools};
use super::legacy_tasks::{Custom, call_params, called, no_task, plain};
use super::{AsyncTools, listen, native, resources};

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
/// - A task of the protocol's own is ours if we know its id, and the handler's
///   otherwise.
/// - Resources whose URIs begin with `resource://tasks/` are ours, all others
///   the handler's. Lists begin with ours.
/// - The server's name, version and protocol versions are the handler's. Our
///   capabilities (`tools`, `resources`, and tasks where there are any) and
///   instructions are added to its own.
/// - `subscriptions/listen` reaches the handler if it accepts a part that is
///   not ours. What it is handed then says what was accepted of ours too; it
///   has nothing to do for that.
/// - Every other request and every notification is the handler's, as it came.
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

    pub(crate) fn host(&self) -> AsyncTools {
        self.ours.host()
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
    fn merge(
        &self,
        ours: ServerCapabilities,
        capabilities: &mut ServerCapabilities,
        instructions: &mut Option<String>,
    ) {
        // Our lists never change as such, so `list_changed` stays as the inner
        // handler has it.
        capabilities.tools.get_or_insert_default();
        let resources = capabilities.resources.get_or_insert_default();
        resources.subscribe = Some(true);
        for (name, settings) in ours.extensions.into_iter().flatten() {
            let extensions = capabilities.extensions.get_or_insert_default();
            extensions.entry(name).or_insert(settings);
        }
        for (name, settings) in ours.experimental.into_iter().flatten() {
            let experimental = capabilities.experimental.get_or_insert_default();
            experimental.insert(name, settings);
        }
        if let Some(ours) = self.ours.instructions() {
            *instructions = Some(match instructions.take() {
                Some(inner) if !inner.trim().is_empty() => {
                    format!("{}\n\n{ours}", inner.trim_end())
                }
                _ => ours.to_owned(),
            });
        }
    }

    /// The inner handler's answer to `initialize`, with us in it.
    fn merged(&self, mut info: InitializeResult) -> InitializeResult {
        let ours = self.ours.legacy_capabilities(&info.protocol_version);
        self.merge(ours, &mut info.capabilities, &mut info.instructions);
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

/// What cursors of lists of our resources begin with; others are the inner
/// handler's.
const OWN_CURSOR: &str = "async-tool:";

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
        let mut info = self.inner.get_info();
        let ours = self.ours.capabilities();
        self.merge(ours, &mut info.capabilities, &mut info.instructions);
        info
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
        let ours = self.ours.capabilities();
        self.merge(ours, &mut found.capabilities, &mut found.instructions);
        Ok(found)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, McpError> {
        // A cursor is always the inner handler's: all of ours are on page one.
        let is_first = is_first(request.as_ref());
        let mut page = self.inner.list_tools(request, context).await;
        if is_first {
            page = unless_missing(page);
        }
        let mut page = page?;
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

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, McpError> {
        let cursor = request.as_ref().and_then(|page| page.cursor.as_deref());
        let own_cursor = match cursor {
            None => None,
            Some(cursor) => match cursor.strip_prefix(OWN_CURSOR) {
                None => return self.inner.list_resources(request, context).await,
                own => own.map(str::to_owned),
            },
        };
        let own = PaginatedRequestParams::default().with_cursor(own_cursor);
        let mut page = self.ours.list_resources(Some(own), &context).await?;
        if let Some(next) = &mut page.next_cursor {
            next.insert_str(0, OWN_CURSOR);
            return Ok(page);
        }
        // Ours are over: here its own begin.
        let theirs = unless_missing(self.inner.list_resources(None, context).await)?;
        Ok(ListResourcesResult {
            resources: [page.resources, theirs.resources].concat(),
            ..theirs
        })
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, McpError> {
        let is_first = is_first(request.as_ref());
        let mut page = self.inner.list_resource_templates(request, context).await;
        if is_first {
            page = unless_missing(page);
        }
        let mut page = page?;
        if is_first {
            page.resource_templates.insert(0, resources::template());
        }
        Ok(page)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, McpError> {
        if resources::is_own(&request.uri) {
            self.ours.read_resource(&request.uri, &context).await
        } else {
            self.inner.read_resource(request, context).await
        }
    }

    #[expect(deprecated, reason = "legacy sessions still use it")]
    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), McpError> {
        if resources::is_own(&request.uri) {
            self.ours.subscribe(&request.uri, context).await
        } else {
            self.inner.subscribe(request, context).await
        }
    }

    #[expect(deprecated, reason = "legacy sessions still use it")]
    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), McpError> {
        if resources::is_own(&request.uri) {
            self.ours.unsubscribe(&request.uri, &context)
        } else {
            self.inner.unsubscribe(request, context).await
        }
    }

    // The inner handler is asked about what is its own, for it may accept
    // whatever it is asked for; and what it accepts is cut to its own
    // capabilities, since rmcp cuts it to the joined ones.
    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let theirs = listen::others_part(requested);
        let capabilities = self.inner.get_info().capabilities;
        let mut accepted = self
            .inner
            .accepted_subscription_filter(&theirs)
            .unwrap_or_default()
            .intersection(&theirs.supported_by(&capabilities));
        if let Some(mut ours) = listen::own_part(requested).resource_subscriptions {
            let uris = accepted.resource_subscriptions.get_or_insert_default();
            uris.append(&mut ours);
        }
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), McpError> {
        let ours = self
            .ours
            .listen(context.accepted(), context.request_context());
        let ours = ours.await?;
        if !asks_for_anything(&listen::others_part(context.accepted())) {
            self.ours.tell(ours).await;
            return Ok(());
        }
        if ours.is_empty() {
            return self.inner.listen(context).await;
        }
        // The handler ends its own part alone, unless it fails.
        let theirs = self.inner.listen(context);
        let told = async {
            self.ours.tell(ours).await;
            Ok(())
        };
        tokio::try_join!(theirs, told).map(|_| ())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, McpError> {
        let ours = self.ours.get_task(request.clone(), context.clone()).await;
        or_theirs(ours, || self.inner.get_task(request, context)).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), McpError> {
        let ours = self
            .ours
            .update_task(request.clone(), context.clone())
            .await;
        or_theirs(ours, || self.inner.update_task(request, context)).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), McpError> {
        let ours = self
            .ours
            .cancel_task(request.clone(), context.clone())
            .await;
        or_theirs(ours, || self.inner.cancel_task(request, context)).await
    }

    async fn on_custom_request(
        &self,
        mut request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, McpError> {
        match Custom::of(&request.method) {
            None => self.inner.on_custom_request(request, context).await,
            Some(Custom::UndeclaredListen) => self.ours.custom(request, context).await,
            Some(Custom::ListTools) => {
                let page = request
                    .params_as()
                    .map_err(|error| McpError::invalid_params(error.to_string(), None))?;
                let page = self.list_tools(page, context.clone()).await?;
                Ok(self.ours.legacy_tools(page, &context))
            }
            Some(Custom::CallTool) => {
                let call = call_params(&request)?;
                if self.own_tool(&call.name).is_some() {
                    return self.ours.custom(request, context).await;
                }
                if self.ours.has_legacy_tasks(&context) {
                    return Err(no_task(&call.name));
                }
                let answer = self.inner.call_tool(call, context).await?;
                Ok(CustomResult::new(plain(answer.into())))
            }
            Some(Custom::Task(_)) => {
                let ours = self.ours.custom(request.clone(), context.clone()).await;
                request.method = called(&request.method).to_owned();
                or_theirs(ours, || self.inner.on_custom_request(request, context)).await
            }
        }
    }

    pass_requests! {
        fn ping() -> ();
        fn complete(request: CompleteRequestParams) -> CompleteResult;
        #[expect(deprecated, reason = "legacy sessions still use it")]
        fn set_level(request: SetLevelRequestParams) -> ();
        fn get_prompt(request: GetPromptRequestParams) -> GetPromptResponse;
        fn list_prompts(request: Option<PaginatedRequestParams>) -> ListPromptsResult;
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

fn is_first(request: Option<&PaginatedRequestParams>) -> bool {
    request.is_none_or(|page| page.cursor.is_none())
}

/// A handler without a capability may refuse what no client would ask of it
/// alone; composed, the client asks for what is ours.
fn unless_missing<T: Default>(answer: Result<T, McpError>) -> Result<T, McpError> {
    match answer {
        Err(error) if is_missing(&error) => Ok(T::default()),
        answer => answer,
    }
}

/// Our answer about a task; the inner handler's about what is none of ours, if
/// it has such a method.
async fn or_theirs<T, F>(
    ours: Result<T, McpError>,
    theirs: impl FnOnce() -> F,
) -> Result<T, McpError>
where
    F: Future<Output = Result<T, McpError>>,
{
    match ours {
        Err(error) if native::is_not_found(&error) || is_missing(&error) => match theirs().await {
            Err(missing) if is_missing(&missing) => Err(error),
            answer => answer,
        },
        answer => answer,
    }
}

fn is_missing(error: &McpError) -> bool {
    error.code == ErrorCode::METHOD_NOT_FOUND
}

fn asks_for_anything(requested: &SubscriptionFilter) -> bool {
    !requested.is_subset_of(&SubscriptionFilter::new())
}

#[cfg(test)]
mod tests;
