//! Every method of `ServerHandler` reaches the inner handler.
//!
//! The proof has three parts, because every method of the trait has a default
//! and so the compiler reports none that is missing:
//!
//! - `clippy::missing_trait_methods` on the implementation for `Composed`, and
//!   on the one for [`Recorder`] here, is an error for a method that rmcp's
//!   trait has and we have not written: clippy fails with the first rmcp that
//!   adds one.
//! - Each request and notification is sent by a real client through a composed
//!   server, and must come back as what the recorder answers. What must be sent
//!   is taken from rmcp's own JSON schema of its messages: a message that a
//!   later rmcp adds fails here, under plain `cargo test` too.
//! - After both kinds of session, the recorder has seen all of [`METHODS`],
//!   those without a message included.
//!
//! (Reading the trait out of rmcp's source would need its place in the
//! registry, which a vendored or archived test run does not have.)

use std::collections::BTreeSet;

use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientNotification, ClientRequest, Implementation,
    ServerNotification,
};
use rmcp::schemars::{JsonSchema, schema_for};
use rmcp::service::{ClientLifecycleMode, Peer, RoleClient, ServiceError};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::super::*;
use super::{Ours, connect, discover, soon};

/// An inner handler which writes down what reaches it. It answers requests
/// with an error that holds the method, the parameters and the metadata: what
/// the client gets back shows that both directions are untouched.
#[derive(Clone)]
struct Recorder {
    seen: Arc<watch::Sender<BTreeSet<&'static str>>>,
}

impl Recorder {
    fn new() -> Self {
        Self {
            seen: Arc::new(watch::Sender::new(BTreeSet::new())),
        }
    }

    fn saw(&self, method: &'static str) {
        self.seen.send_modify(|seen| {
            seen.insert(method);
        });
    }

    /// Waits for what has no answer.
    async fn has_seen(&self, method: &'static str) {
        let mut seen = self.seen.subscribe();
        let arrived = soon(seen.wait_for(|seen| seen.contains(method))).await;
        assert!(arrived.is_ok(), "{method} did not arrive");
    }
}

macro_rules! recorder {
    (
        requests { $($(#[$attribute:meta])* fn $request:ident($($params:ident: $Params:ty)?) -> $Answer:ty;)* }
        notifications { $(fn $notification:ident($($of:ident: $Of:ty)?);)* }
        others [$($other:ident),*] { $($written_out:tt)* }
    ) => {
        /// Every method of the trait.
        const METHODS: &[&str] = &[
            $(stringify!($request),)* $(stringify!($notification),)* $(stringify!($other),)*
        ];

        #[deny(clippy::missing_trait_methods)]
        impl ServerHandler for Recorder {
            $(
                $(#[$attribute])*
                async fn $request(
                    &self,
                    $($params: $Params,)?
                    context: RequestContext<RoleServer>,
                ) -> Result<$Answer, McpError> {
                    self.saw(stringify!($request));
                    let params: Option<Value> = None$(.or(Some(json!($params))))?;
                    Err(McpError::new(
                        RECORDED,
                        stringify!($request),
                        Some(json!({ "params": params, "meta": context.meta })),
                    ))
                }
            )*
            $(
                async fn $notification(
                    &self,
                    $($of: $Of,)?
                    context: NotificationContext<RoleServer>,
                ) {
                    $(drop($of);)?
                    drop(context);
                    self.saw(stringify!($notification));
                }
            )*
            $($written_out)*
        }
    };
}

const RECORDED: ErrorCode = ErrorCode(-1234);

recorder! {
    requests {
        fn ping() -> ();
        fn complete(request: CompleteRequestParams) -> CompleteResult;
        #[expect(deprecated, reason = "legacy sessions still use it")]
        fn set_level(request: SetLevelRequestParams) -> ();
        fn get_prompt(request: GetPromptRequestParams) -> GetPromptResponse;
        fn list_prompts(request: Option<PaginatedRequestParams>) -> ListPromptsResult;
        fn list_resources(request: Option<PaginatedRequestParams>) -> ListResourcesResult;
        fn list_resource_templates(request: Option<PaginatedRequestParams>) -> ListResourceTemplatesResult;
        fn read_resource(request: ReadResourceRequestParams) -> ReadResourceResponse;
        fn subscribe(request: SubscribeRequestParams) -> ();
        fn unsubscribe(request: UnsubscribeRequestParams) -> ();
        fn call_tool(request: CallToolRequestParams) -> CallToolResponse;
        fn list_tools(request: Option<PaginatedRequestParams>) -> ListToolsResult;
        fn get_task(request: GetTaskParams) -> GetTaskResult;
        fn update_task(request: UpdateTaskParams) -> ();
        fn cancel_task(request: CancelTaskParams) -> ();
        fn list_skills(request: Option<PaginatedRequestParams>) -> ListSkillsResult;
        fn get_skill(request: GetSkillRequestParams) -> GetSkillResult;
        fn read_resource_directory(request: ReadResourceDirectoryRequestParams) -> ReadResourceDirectoryResult;
    }
    notifications {
        fn on_cancelled(notification: CancelledNotificationParam);
        fn on_progress(notification: ProgressNotificationParam);
        fn on_initialized();
        fn on_roots_list_changed();
        fn on_custom_notification(notification: CustomNotification);
    }
    others [
        initialize, negotiate_initialize, supported_protocol_versions, discover, get_info,
        get_tool, accepted_subscription_filter, listen, on_custom_request
    ] {
        // None of these calls another: what is seen was called from outside.
        async fn initialize(
            &self,
            request: InitializeRequestParams,
            _context: RequestContext<RoleServer>,
        ) -> Result<InitializeResult, McpError> {
            self.saw("initialize");
            Ok(InitializeResult::new(capabilities()).with_protocol_version(request.protocol_version))
        }

        fn negotiate_initialize(
            &self,
            _request: &InitializeRequestParams,
        ) -> Result<InitializeResult, McpError> {
            self.saw("negotiate_initialize");
            Ok(InitializeResult::new(capabilities()))
        }

        fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
            self.saw("supported_protocol_versions");
            Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS)
        }

        async fn discover(
            &self,
            _context: RequestContext<RoleServer>,
        ) -> Result<DiscoverResult, McpError> {
            self.saw("discover");
            Ok(DiscoverResult::new(ProtocolVersion::KNOWN_VERSIONS.to_vec(), capabilities()))
        }

        fn get_info(&self) -> ServerConfig {
            self.saw("get_info");
            ServerConfig::new(capabilities())
        }

        fn get_tool(&self, _name: &str) -> Option<Tool> {
            self.saw("get_tool");
            None
        }

        fn accepted_subscription_filter(
            &self,
            requested: &SubscriptionFilter,
        ) -> Option<SubscriptionFilter> {
            self.saw("accepted_subscription_filter");
            Some(requested.clone())
        }

        async fn listen(&self, context: SubscriptionContext) -> Result<(), McpError> {
            self.saw("listen");
            assert!(context.accepted().prompts_list_changed == Some(true));
            Ok(())
        }

        // `CustomRequest` has its own form: method and parameters together.
        async fn on_custom_request(
            &self,
            request: CustomRequest,
            context: RequestContext<RoleServer>,
        ) -> Result<CustomResult, McpError> {
            self.saw("on_custom_request");
            assert_eq!(request.method, "x/custom");
            Err(McpError::new(
                RECORDED,
                "on_custom_request",
                Some(json!({ "params": request.params, "meta": context.meta })),
            ))
        }
    }
}

/// Everything, so that rmcp refuses no request before the handler sees it.
fn capabilities() -> ServerCapabilities {
    ServerCapabilities::builder()
        .enable_prompts()
        .enable_prompts_list_changed()
        .enable_resources()
        .enable_tasks()
        .enable_skills_with_directory_read()
        .build()
}

/// In which sessions a message exists.
#[derive(Clone, Copy, PartialEq)]
enum Era {
    Both,
    /// Sessions that began with `initialize`.
    Legacy,
    /// 2026-07-28.
    Modern,
    /// Sent by the client itself when the session begins, or by `listen`.
    Session,
}

/// Message, method of the trait, era, parameters.
type Row = (&'static str, &'static str, Era, Value);

fn requests() -> Vec<Row> {
    use Era::{Both, Legacy, Session};
    let page = json!({ "cursor": "2" });
    vec![
        ("ping", "ping", Legacy, Value::Null),
        ("initialize", "initialize", Session, Value::Null),
        ("server/discover", "discover", Session, Value::Null),
        (
            "completion/complete",
            "complete",
            Both,
            json!({
                "ref": { "type": "ref/prompt", "name": "p" },
                "argument": { "name": "a", "value": "v" },
            }),
        ),
        (
            "logging/setLevel",
            "set_level",
            Both,
            json!({ "level": "info" }),
        ),
        ("prompts/get", "get_prompt", Both, json!({ "name": "p" })),
        ("prompts/list", "list_prompts", Both, page.clone()),
        ("resources/list", "list_resources", Both, page.clone()),
        (
            "resources/templates/list",
            "list_resource_templates",
            Both,
            page.clone(),
        ),
        (
            "resources/read",
            "read_resource",
            Both,
            json!({ "uri": "x://r" }),
        ),
        ("subscriptions/listen", "listen", Session, Value::Null),
        (
            "resources/subscribe",
            "subscribe",
            Legacy,
            json!({ "uri": "x://r" }),
        ),
        (
            "resources/unsubscribe",
            "unsubscribe",
            Legacy,
            json!({ "uri": "x://r" }),
        ),
        (
            "tools/call",
            "call_tool",
            Both,
            json!({ "name": "its_own", "arguments": { "a": [1, null] } }),
        ),
        ("tools/list", "list_tools", Both, page.clone()),
        ("tasks/get", "get_task", Both, json!({ "taskId": "1" })),
        (
            "tasks/update",
            "update_task",
            Both,
            json!({ "taskId": "1", "inputResponses": {} }),
        ),
        (
            "tasks/cancel",
            "cancel_task",
            Both,
            json!({ "taskId": "1" }),
        ),
        ("skills/list", "list_skills", Both, page),
        (
            "skills/get",
            "get_skill",
            Both,
            json!({ "uri": "skill://s/SKILL.md" }),
        ),
        (
            "resources/directory/read",
            "read_resource_directory",
            Both,
            json!({ "uri": "skill://s/" }),
        ),
        ("x/custom", "on_custom_request", Both, json!({ "a": 1 })),
    ]
}

fn notifications() -> Vec<Row> {
    use Era::{Both, Session};
    vec![
        (
            "notifications/cancelled",
            "on_cancelled",
            Both,
            json!({ "requestId": 999_999, "reason": "test" }),
        ),
        (
            "notifications/progress",
            "on_progress",
            Both,
            json!({ "progressToken": "t", "progress": 1.0 }),
        ),
        (
            "notifications/initialized",
            "on_initialized",
            Session,
            Value::Null,
        ),
        (
            "notifications/roots/list_changed",
            "on_roots_list_changed",
            Both,
            Value::Null,
        ),
        (
            "notifications/x/custom",
            "on_custom_notification",
            Both,
            json!({ "a": 1 }),
        ),
    ]
}

/// The methods of a message type of rmcp's, by its own JSON schema.
fn methods_of<M: JsonSchema>() -> BTreeSet<String> {
    let schema = schema_for!(M);
    let types = schema.get("$defs").and_then(Value::as_object);
    types
        .expect("the schema has definitions")
        .values()
        .filter(|of_type| of_type["format"] == "const")
        .filter_map(|of_type| of_type["const"].as_str())
        .map(str::to_owned)
        .collect()
}

fn methods_in(rows: &[Row]) -> BTreeSet<String> {
    rows.iter()
        .map(|(message, ..)| (*message).to_owned())
        .filter(|message| !message.contains("x/custom"))
        .collect()
}

#[test]
fn the_tables_hold_every_message_that_rmcp_knows() {
    assert_eq!(methods_in(&requests()), methods_of::<ClientRequest>());
    assert_eq!(
        methods_in(&notifications()),
        methods_of::<ClientNotification>()
    );
}

#[tokio::test]
async fn every_method_reaches_the_inner_handler() {
    let recorder = Recorder::new();
    let legacy = Composed::new(Ours::shared(), recorder.clone()).expect("no clash");
    let modern = Composed::new(Ours::shared(), recorder.clone()).expect("no clash");
    // `new` asks for tools; what counts is what comes through the handler.
    recorder.seen.send_replace(BTreeSet::new());

    let config = ClientConfig::new(
        ClientCapabilities::builder().enable_tasks().build(),
        Implementation::new("test", "1"),
    );
    // No message of its own leads to these two.
    assert!(legacy.get_tool("its_own").is_none());
    legacy.negotiate_initialize(&config).expect("negotiates");

    let legacy = connect(legacy, config.clone(), ClientLifecycleMode::Initialize).await;
    recorder.has_seen("on_initialized").await;
    send_all(legacy.peer(), Era::Legacy, &recorder).await;
    legacy.cancel().await.expect("ends");
    let mut seen = recorder.seen.send_replace(BTreeSet::new());

    let modern = connect(modern, config, discover()).await;
    send_all(modern.peer(), Era::Modern, &recorder).await;
    let asked = SubscriptionFilter::builder().prompts_list_changed().build();
    let mut subscription = modern.listen(asked).await.expect("accepted");
    // The recorder's `listen` returns, and with it the subscription ends.
    let end: Option<ServerNotification> = soon(subscription.next()).await.expect("ends well");
    assert!(end.is_none());
    modern.cancel().await.expect("ends");

    let all: BTreeSet<&str> = METHODS.iter().copied().collect();
    seen.extend(recorder.seen.borrow().iter());
    assert_eq!(seen, all);
}

async fn send_all(client: &Peer<RoleClient>, era: Era, recorder: &Recorder) {
    for (message, method, of, params) in requests() {
        if of != Era::Both && of != era {
            continue;
        }
        let mut sent = json!({ "method": message, "params": params });
        if !params.is_null() {
            sent["params"]["_meta"] = json!({ "x/mark": message });
        }
        let request: ClientRequest = serde_json::from_value(sent).expect("a request");
        let answer = client.send_request(request).await;
        let Err(ServiceError::McpError(error)) = answer else {
            panic!("{message}: {answer:?}");
        };
        assert_eq!((error.code, error.message.as_ref()), (RECORDED, method));
        let mut data = error.data.expect("what the recorder saw");
        if let Some(of_params) = data["params"].as_object_mut() {
            of_params.remove("_meta");
        }
        assert_eq!(data["params"], params, "{message}");
        if !params.is_null() {
            assert_eq!(data["meta"]["x/mark"], message);
        }
    }
    for (message, method, of, params) in notifications() {
        if of != Era::Both && of != era {
            continue;
        }
        let sent = json!({ "method": message, "params": params });
        let notification: ClientNotification = serde_json::from_value(sent).expect("one");
        client.send_notification(notification).await.expect("sent");
        recorder.has_seen(method).await;
    }
}
