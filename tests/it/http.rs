//! The same over rmcp's streamable HTTP, on a real socket.

use std::sync::Arc;

use async_tool::{AsyncTools, Principal};
use axum::Router;
use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};

use crate::tools::builder;

/// Serves on a free port of the loopback interface; returns the URL.
async fn serve(tools: AsyncTools) -> String {
    let layer = tools.http_layer();
    let service = layer.layer(StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    ));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        axum::serve(listener, Router::new().nest_service("/mcp", service)).await
    });
    format!("http://{address}/mcp")
}

type Client = RunningService<RoleClient, ()>;

async fn connect(url: &str, token: Option<&str>) -> Client {
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    config.auth_header = token.map(str::to_owned);
    let transport = StreamableHttpClientTransport::from_config(config);
    ().serve(transport).await.expect("connects")
}

async fn call(client: &Client, name: &str, arguments: Value) -> Value {
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let params = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
    let result = client.call_tool(params).await.expect("answered");
    result.structured_content.expect("structured")
}

#[tokio::test]
async fn a_task_goes_through_streamable_http() {
    let tools = builder().build().await.expect("builds");
    let client = connect(&serve(tools).await, None).await;
    let task = call(&client, "nap_initiate", json!({"millis": 50})).await;
    let wait = json!({"task_id": task["task_id"], "wait_seconds": 30});
    let end = call(&client, "nap_status", wait).await;
    assert_eq!(end["status"], "completed");
}

#[tokio::test]
async fn the_principal_comes_from_the_http_request() {
    let tools = builder()
        .principal(|request| {
            let header = request.http()?.headers.get("authorization")?;
            let token = header.to_str().ok()?.strip_prefix("Bearer ")?;
            Some(Principal::new(token.to_owned()))
        })
        .require_principal()
        .build()
        .await
        .expect("builds");
    let url = serve(tools).await;
    let alice = connect(&url, Some("alice")).await;
    let bob = connect(&url, Some("bob")).await;
    let nobody = connect(&url, None).await;

    let task = call(&alice, "nap_initiate", json!({"millis": 60_000})).await;
    let id = json!({"task_id": task["task_id"]});
    let own = call(&alice, "nap_status", id.clone()).await;
    assert_eq!(own["status"], "working");
    let foreign = call(&bob, "nap_status", id.clone()).await;
    assert_eq!(foreign["error"]["code"], "task_not_found");
    let anonymous = call(&nobody, "nap_status", id).await;
    assert_eq!(anonymous["error"]["code"], "unauthenticated");
}
