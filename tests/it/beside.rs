//! Tasks beside a handler that has resources and subscriptions of its own, on
//! the wire.

use async_tool::AsyncTools;
use rmcp::model::{
    ListResourcesResult, PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, Resource, ResourceContents, ServerCapabilities, ServerConfig,
    SubscriptionFilter,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};

use crate::native::{builder, declaring, start};
use crate::raw::Raw;

/// A book, which changes once for everybody who listens.
#[derive(Clone)]
struct Library;

const BOOK: &str = "book://1";

impl ServerHandler for Library {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(
            ServerCapabilities::builder()
                .enable_resources()
                .enable_resources_subscribe()
                .build(),
        )
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let books = vec![Resource::new(BOOK, "book")];
        Ok(ListResourcesResult::with_all_items(books))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let contents = ResourceContents::text("a book", request.uri);
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let asked = requested.resource_subscriptions.iter().flatten();
        assert!(
            asked.clone().all(|uri| uri.starts_with("book:")),
            "{requested:?}"
        );
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let told = context.sink().notify_resource_updated(BOOK).await;
        told.map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }
}

fn handler(tools: &AsyncTools) -> async_tool::Composed<Library> {
    tools.wrap(Library).expect("no clash")
}

async fn task(raw: &mut Raw) -> String {
    let params = json!({"name": "nap", "arguments": {"seconds": 10}, "task": {}});
    let created = raw.request("tools/call", params).await;
    let result = &created["result"];
    let id = result["taskId"]
        .as_str()
        .or_else(|| result["task"]["taskId"].as_str());
    id.unwrap_or_else(|| panic!("no task: {created}"))
        .to_owned()
}

fn read(message: &Value) -> &str {
    let text = message["result"]["contents"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text: {message}"))
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_of_both_sides() {
    let tools = start(builder().single_user()).await;
    let mut raw = Raw::modern_with(&tools, handler(&tools), &declaring());
    let id = task(&mut raw).await;
    let uri = format!("resource://tasks/{id}");
    let filter = json!({"taskIds": [id], "resourceSubscriptions": [BOOK, uri]});
    let listen = raw
        .begin("subscriptions/listen", json!({"notifications": filter}))
        .await;
    let acknowledged = raw.next().await;
    assert_eq!(acknowledged["params"]["notifications"], filter);
    raw.until(|message| message["params"]["uri"] == BOOK).await;
    // The handler is through with its part; ours goes on.
    raw.until(|message| message["params"]["uri"] == *uri).await;
    let ended = raw
        .until(|message| message["params"]["status"] == "completed")
        .await;
    assert_eq!(ended["params"]["taskId"], *id);
    tools.shutdown().await;
    assert_eq!(raw.answer(listen).await["result"]["resultType"], "complete");

    let listed = raw.request("resources/list", json!({})).await;
    let uris: Vec<_> = listed["result"]["resources"]
        .as_array()
        .expect("resources")
        .iter()
        .map(|resource| resource["uri"].as_str().expect("a URI"))
        .collect();
    assert_eq!(uris, [&*uri, BOOK]);
    for (uri, expected) in [(BOOK, "a book"), (&*uri, "\"done\":true")] {
        let message = raw.request("resources/read", json!({"uri": uri})).await;
        assert!(read(&message).contains(expected), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn core_tasks_are_there_beside_it() {
    let tools = start(builder()).await;
    let (mut raw, initialized) = Raw::legacy_with(&tools, handler(&tools)).await;
    assert_eq!(
        initialized["result"]["capabilities"],
        json!({
            "tools": {}, "resources": {"subscribe": true},
            "tasks": {"cancel": {}, "requests": {"tools": {"call": {}}}},
        })
    );
    let listed = raw.request("tools/list", json!({})).await;
    assert!(
        listed
            .to_string()
            .contains(r#""execution":{"taskSupport":"optional"}"#)
    );
    let id = task(&mut raw).await;
    let result = raw.request("tasks/result", json!({"taskId": id})).await;
    assert_eq!(
        result["result"]["structuredContent"],
        json!({"seconds": 10})
    );
    let unknown = raw.request("tasks/get", json!({"taskId": "x"})).await;
    assert_eq!(unknown["error"]["code"], -32602);
}
