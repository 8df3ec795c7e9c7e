mod clash;
mod forwarding;
mod info;
mod resources;
mod subscription;
mod tasks;
mod user_server;

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use rmcp::model::{
    CallToolResult, ContentBlock, DetailedTask, NumberOrString, ProgressToken, ReadResourceResult,
    RequestId, Resource, ResourceContents, ServerResult, Task, TaskPayload,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService, serve_directly,
};
use rmcp::{ClientHandler, ServiceExt as _};
use serde_json::json;

use super::*;
use crate::refusal::Refusal;
use crate::server::listen::Subscription;

/// Our side, with one family and no engine behind it.
struct Ours {
    tools: Vec<Tool>,
    log: ClashLog,
}

impl Ours {
    fn shared() -> Arc<Self> {
        Arc::new(Self {
            tools: ["build_cancel", "build_initiate", "build_status"]
                .map(tool)
                .to_vec(),
            log: ClashLog::default(),
        })
    }
}

impl OwnTools for Ours {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    fn instructions(&self) -> Option<&str> {
        Some("Poll with build_status.")
    }

    fn call<'a>(
        &'a self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Answer<'a, CallToolResponse> {
        let text = format!("ours: {}", request.name);
        async { Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into()) }.boxed()
    }

    /// Two pages, of one resource each.
    fn list_resources<'a>(
        &'a self,
        page: Option<PaginatedRequestParams>,
        _context: &'a RequestContext<RoleServer>,
    ) -> Answer<'a, ListResourcesResult> {
        let (name, next) = match page.and_then(|page| page.cursor).as_deref() {
            None => (OWN_URI, Some("second".to_owned())),
            Some("second") => ("resource://tasks/2", None),
            Some(other) => panic!("no cursor of ours: {other}"),
        };
        let mut page = ListResourcesResult::with_all_items(vec![Resource::new(name, name)]);
        page.next_cursor = next;
        ready(Ok(page)).boxed()
    }

    fn read_resource<'a>(
        &'a self,
        uri: &'a str,
        _context: &'a RequestContext<RoleServer>,
    ) -> Answer<'a, ReadResourceResponse> {
        let contents = ResourceContents::text("ours", uri);
        ready(Ok(ReadResourceResult::new(vec![contents]).into())).boxed()
    }

    fn subscribe<'a>(
        &'a self,
        _uri: &'a str,
        _context: RequestContext<RoleServer>,
    ) -> Answer<'a, ()> {
        ready(Ok(())).boxed()
    }

    fn unsubscribe(
        &self,
        _uri: &str,
        _context: &RequestContext<RoleServer>,
    ) -> Result<(), McpError> {
        Ok(())
    }

    fn listen<'a>(
        &'a self,
        _accepted: &'a SubscriptionFilter,
        context: &'a RequestContext<RoleServer>,
    ) -> Answer<'a, Subscription> {
        ready(Ok(Subscription::new(context.clone()))).boxed()
    }

    fn capabilities(&self) -> ServerCapabilities {
        ServerCapabilities::default()
    }

    fn legacy_capabilities(&self, _version: &ProtocolVersion) -> ServerCapabilities {
        ServerCapabilities::default()
    }

    /// There is one task.
    fn get_task<'a>(
        &'a self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Answer<'a, GetTaskResult> {
        let task = DetailedTask::new(Task::default(), TaskPayload::Cancelled);
        ready(known(&request.task_id).map(|()| GetTaskResult::new(task))).boxed()
    }

    fn update_task<'a>(
        &'a self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Answer<'a, ()> {
        ready(known(&request.task_id)).boxed()
    }

    fn cancel_task<'a>(
        &'a self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Answer<'a, ()> {
        ready(known(&request.task_id)).boxed()
    }

    fn legacy_tools(
        &self,
        page: ListToolsResult,
        _context: &RequestContext<RoleServer>,
    ) -> CustomResult {
        CustomResult::new(plain(ServerResult::ListToolsResult(page)))
    }

    fn has_legacy_tasks(&self, _context: &RequestContext<RoleServer>) -> bool {
        true
    }

    fn custom<'a>(
        &'a self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Answer<'a, CustomResult> {
        let params = request.params.unwrap_or_default();
        let found = match params["taskId"].as_str() {
            Some(id) => known(id),
            None => Ok(()),
        };
        ready(found.map(|()| CustomResult::new(json!("ours")))).boxed()
    }

    fn host(&self) -> AsyncTools {
        panic!("it is not served as a process is")
    }

    fn tell(&self, subscription: Subscription) -> BoxFuture<'_, ()> {
        async move { subscription.cancelled().await }.boxed()
    }

    fn clash_log(&self) -> &ClashLog {
        &self.log
    }
}

fn known(id: &str) -> Result<(), McpError> {
    if id == OWN_TASK {
        Ok(())
    } else {
        Err(native::error(Refusal::TaskNotFound))
    }
}

const OWN_TASK: &str = "00000000000000000000000000000001";
const OWN_URI: &str = "resource://tasks/00000000000000000000000000000001";

fn tool(name: &'static str) -> Tool {
    let serde_json::Value::Object(schema) = json!({ "type": "object" }) else {
        unreachable!("an object")
    };
    Tool::new(name, "A tool.", schema)
}

/// The way a client of 2026-07-28 begins.
fn discover() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
    }
}

/// A client of the server, over a pipe.
async fn connect<H: ServerHandler, C: ClientHandler>(
    server: H,
    client: C,
    lifecycle: ClientLifecycleMode,
) -> RunningService<RoleClient, C> {
    let (near, far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let running = server.serve(far).await.expect("the server starts");
        running.waiting().await.expect("the server ends well");
    });
    client
        .serve_with_lifecycle(near, lifecycle)
        .await
        .expect("the client connects")
}

/// What ought to come at once; the bound is for the failing test alone.
async fn soon<F: Future>(awaited: F) -> F::Output {
    let bounded = tokio::time::timeout(Duration::from_secs(10), awaited).await;
    bounded.expect("nothing came")
}

/// What stands for a client's request in a direct call.
fn context() -> RequestContext<RoleServer> {
    let (_near, far) = tokio::io::duplex(1 << 10);
    let running = serve_directly::<RoleServer, _, _, _, _>(Plain, far, None);
    RequestContext::new(RequestId::Number(1), running.peer().clone())
}

/// A handler that overrides nothing: no tools, no `get_tool`, no instructions.
struct Plain;

impl ServerHandler for Plain {}

/// A handler with pages of tools and without `get_tool`.
#[derive(Clone)]
struct Paged {
    pages: Vec<Vec<&'static str>>,
}

impl ServerHandler for Paged {
    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, McpError> {
        let cursor = request.and_then(|page| page.cursor);
        let index = cursor.map_or(0, |cursor| cursor.parse().expect("a cursor of ours"));
        let next = index + 1;
        let mut page =
            ListToolsResult::with_all_items(self.pages[index].iter().copied().map(tool).collect())
                .with_ttl_ms(7);
        page.next_cursor = (next < self.pages.len()).then(|| next.to_string());
        Ok(page)
    }
}

fn compose<H: ServerHandler>(inner: H) -> Composed<H> {
    Composed::new(Ours::shared(), inner).expect("no clash")
}

fn names(tools: &[Tool]) -> Vec<&str> {
    tools.iter().map(|tool| tool.name.as_ref()).collect()
}

fn cursor(cursor: &str) -> Option<PaginatedRequestParams> {
    Some(PaginatedRequestParams::default().with_cursor(Some(cursor.to_owned())))
}

#[tokio::test]
async fn our_tools_come_first_and_the_inner_pages_follow_unchanged() {
    let server = compose(Paged {
        pages: vec![vec!["zeta", "alpha"], vec!["mid"]],
    });
    let first = server.list_tools(None, context()).await.expect("a page");
    assert_eq!(
        names(&first.tools),
        [
            "build_cancel",
            "build_initiate",
            "build_status",
            "zeta",
            "alpha"
        ]
    );
    assert_eq!(
        (first.next_cursor.as_deref(), first.ttl_ms),
        (Some("1"), Some(7))
    );

    let without_cursor = Some(PaginatedRequestParams::default());
    let again = server.list_tools(without_cursor, context()).await;
    assert_eq!(again.expect("a page"), first);

    let second = server
        .list_tools(cursor("1"), context())
        .await
        .expect("a page");
    assert_eq!(
        (names(&second.tools), second.next_cursor),
        (vec!["mid"], None)
    );

    for lifecycle in [ClientLifecycleMode::Initialize, discover()] {
        let client = connect(server.clone(), (), lifecycle).await;
        let all = client.list_all_tools().await.expect("all pages");
        assert_eq!(all.len(), 6);
    }
}

/// A handler that refuses to list tools.
struct Refusing(ErrorCode);

impl ServerHandler for Refusing {
    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, McpError> {
        Err(McpError::new(self.0, "refused", None))
    }
}

#[tokio::test]
async fn a_handler_without_tools_does_not_hide_ours() {
    let server = compose(Refusing(ErrorCode::METHOD_NOT_FOUND));
    let first = server.list_tools(None, context()).await.expect("ours");
    assert_eq!(first.tools, Ours::shared().tools);
    // We gave out no cursor, so this one is for the handler to refuse.
    assert!(server.list_tools(cursor("1"), context()).await.is_err());

    let server = compose(Refusing(ErrorCode::INTERNAL_ERROR));
    let error = server
        .list_tools(None, context())
        .await
        .expect_err("passed on");
    assert_eq!(error.message, "refused");
}

type Call = (CallToolRequestParams, RequestContext<RoleServer>);

/// A handler that keeps what it is called with.
#[derive(Clone, Default)]
struct Keeping {
    calls: Arc<Mutex<Vec<Call>>>,
}

impl ServerHandler for Keeping {
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, McpError> {
        let text = format!("inner: {}", request.name);
        self.calls
            .lock()
            .expect("no panic")
            .push((request, context));
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        (name == "its_own").then(|| tool("its_own"))
    }
}

#[tokio::test]
async fn calls_go_by_name() {
    for lifecycle in [ClientLifecycleMode::Initialize, discover()] {
        let inner = Keeping::default();
        let client = connect(compose(inner.clone()), (), lifecycle).await;
        for (name, answer) in [
            ("build_cancel", "ours: build_cancel"),
            ("build_status", "ours: build_status"),
            ("its_own", "inner: its_own"),
            // What an unknown name is answered is the handler's to say.
            ("build", "inner: build"),
            ("", "inner: "),
        ] {
            let result = client.call_tool(CallToolRequestParams::new(name)).await;
            let content = result.expect("an answer").content;
            assert_eq!(content, [ContentBlock::text(answer)]);
        }
        assert_eq!(inner.calls.lock().expect("no panic").len(), 3);
    }
}

#[tokio::test]
async fn get_tool_knows_both_sides() {
    let server = compose(Keeping::default());
    for name in ["build_cancel", "build_initiate", "build_status", "its_own"] {
        assert_eq!(server.get_tool(name), Some(tool(name)));
    }
    assert_eq!(server.get_tool("build"), None);
}

#[tokio::test]
async fn an_inner_call_arrives_as_it_was_sent() {
    #[derive(Debug, Clone, PartialEq)]
    struct Authenticated(&'static str);

    let inner = Keeping::default();
    let mut sent = context();
    sent.extensions.insert(Authenticated("alice"));
    sent.meta.insert("x/trace".to_owned(), json!("1"));
    sent.meta
        .set_progress_token(ProgressToken(NumberOrString::Number(5)));
    let mut request = CallToolRequestParams::new("its_own");
    request.arguments = json!({ "idempotency_key": "k" }).as_object().cloned();
    request.request_state = Some("state".to_owned());

    let answer = compose(inner.clone())
        .call_tool(request.clone(), sent.clone())
        .await;
    assert!(answer.is_ok());

    let calls = inner.calls.lock().expect("no panic");
    let (received, context) = calls.first().expect("the call");
    assert_eq!(*received, request);
    assert_eq!((&context.id, &context.meta), (&sent.id, &sent.meta));
    assert_eq!(
        context.extensions.get::<Authenticated>(),
        Some(&Authenticated("alice"))
    );
    // The very same token, and not a child of it.
    context.ct.cancel();
    assert!(sent.ct.is_cancelled());
}
