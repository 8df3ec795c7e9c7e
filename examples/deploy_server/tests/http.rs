//! Who may call over HTTP, from where, and what operators see.

use std::sync::OnceLock;

use async_tool::testing::Answer;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use clap::Parser;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use metrics_exporter_prometheus::PrometheusHandle;
use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Fixture;
use crate::Cli;
use crate::serving::http::{Http, collect_metrics};

const ALICE: &str = "0123456789abcdef-alice";
const BOB: &str = "0123456789abcdef-bob";

/// The options of the command line that are about HTTP.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    http: Http,
}

/// There is one recorder in a process.
fn metrics() -> PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    METRICS.get_or_init(|| collect_metrics().unwrap()).clone()
}

/// Serves with these options; where.
async fn served(fixture: &Fixture, options: &[&str]) -> String {
    let all = ["test", "--http", "127.0.0.1:0"].iter().chain(options);
    let http = Options::parse_from(all).http;
    let callers = http.callers().unwrap();
    let metrics = metrics();
    let builder = callers.known_to(crate::server(fixture.deployments.clone()));
    let tools = builder.build().await.unwrap();
    let router = http.router(&tools, callers, metrics, CancellationToken::new());
    let listener = TcpListener::bind(http.address().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let _tools = tools;
        axum::serve(listener, router).await
    });
    format!("http://{address}")
}

/// Serves Alice and Bob alone.
async fn guarded(fixture: &Fixture, options: &[&str]) -> String {
    let file = fixture.artifact("../tokens");
    std::fs::write(&file, format!("alice:{ALICE}\nbob:{BOB}\n")).unwrap();
    let mut all = vec!["--tokens", file.to_str().unwrap()];
    all.extend(options);
    served(fixture, &all).await
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

async fn send(request: Request<Body>) -> Reply {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = to_bytes(Body::new(body), 1 << 20).await.unwrap();
    Reply {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8(body.into()).unwrap(),
    }
}

async fn get(url: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::get(format!("{url}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request.body(Body::empty()).unwrap()).await
}

/// The first request of a client.
async fn greet(url: &str, headers: &[(&str, &str)]) -> Reply {
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "0" },
        },
    });
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{url}/mcp"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request.body(Body::from(hello.to_string())).unwrap()).await
}

fn by(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

async fn connect(url: &str, token: &str) -> RunningService<RoleClient, ()> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(format!("{url}/mcp"));
    config.auth_header = Some(token.to_owned());
    let transport = StreamableHttpClientTransport::from_config(config);
    ().serve(transport).await.unwrap()
}

async fn call(
    client: &RunningService<RoleClient, ()>,
    tool: &'static str,
    arguments: Value,
) -> Answer {
    let arguments = arguments.as_object().unwrap().clone();
    let params = CallToolRequestParams::new(tool).with_arguments(arguments);
    client.call_tool(params).await.unwrap().into()
}

#[tokio::test]
async fn without_a_known_token_nobody_is_served() {
    let fixture = Fixture::new();
    let url = guarded(&fixture, &["--stateless"]).await;
    let nobody = greet(&url, &[]).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(nobody.headers["www-authenticate"], "Bearer realm=\"mcp\"");
    for wrong in ["Bearer sesame", "Bearer", "Basic YWxpY2U6c2VzYW1l", ALICE] {
        let wrong = greet(&url, &[("authorization", wrong)]).await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
        let challenge = wrong.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer realm"), "{challenge}");
        assert_eq!(wrong.body, "");
    }
    let (header, forged) = by(&ALICE.to_uppercase());
    let forged = greet(&url, &[(header, &forged)]).await;
    let challenge = forged.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");

    let (header, token) = by(ALICE);
    let alice = greet(&url, &[(header, &token)]).await;
    assert_eq!(alice.status, StatusCode::OK);
    assert!(alice.body.contains("deploy-server"), "{}", alice.body);
}

#[tokio::test]
async fn each_caller_has_tasks_of_their_own() {
    let fixture = Fixture::new();
    let url = guarded(&fixture, &[]).await;
    let (alice, bob) = (connect(&url, ALICE).await, connect(&url, BOB).await);
    let deployment = json!({
        "environment": "test", "service": "web", "artifact": "app",
        "health_check": { "command": ["true"] },
    });
    let task = call(&alice, "deploy_initiate", deployment).await;
    let id = json!({ "task_id": task.id(), "wait_seconds": 50 });
    let foreign = call(&bob, "deploy_status", id.clone()).await;
    assert_eq!(foreign.error_code(), Some("task_not_found"));
    let own = call(&alice, "deploy_status", id).await;
    assert_eq!(own["status"], "completed", "{}", own.text);
    for (client, count) in [(&alice, 1), (&bob, 0)] {
        let list = call(client, "task_list", json!({})).await;
        let tasks = list["tasks"].as_array().map(Vec::len);
        assert_eq!(tasks, Some(count), "{}", list.text);
    }
}

#[tokio::test]
async fn pages_and_names_that_nobody_allowed_are_refused() {
    let fixture = Fixture::new();
    let options = [
        "--stateless",
        "--allow-host",
        "deploy.example.com",
        "--allow-origin",
        "https://console.example.com",
    ];
    let url = served(&fixture, &options).await;
    for (header, value, status) in [
        ("host", "deploy.example.com", StatusCode::OK),
        ("host", "localhost:8000", StatusCode::OK),
        ("host", "evil.example.com", StatusCode::FORBIDDEN),
        ("origin", "https://console.example.com", StatusCode::OK),
        ("origin", "https://evil.example.com", StatusCode::FORBIDDEN),
        ("origin", "http://localhost:3000", StatusCode::FORBIDDEN),
        ("origin", "null", StatusCode::FORBIDDEN),
    ] {
        let reply = greet(&url, &[(header, value)]).await;
        assert_eq!(reply.status, status, "{header}: {value}");
    }
    let strict = served(&fixture, &["--stateless"]).await;
    assert_eq!(greet(&strict, &[]).await.status, StatusCode::OK);
    let page = greet(&strict, &[("origin", "https://console.example.com")]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn operators_see_health_and_metrics() {
    let fixture = Fixture::new();
    let url = guarded(&fixture, &[]).await;
    let health = get(&url, "/health", &[]).await;
    assert_eq!(health.status, StatusCode::OK);
    assert_eq!(health.headers["content-type"], "application/json");
    let health: Value = serde_json::from_str(&health.body).unwrap();
    assert_eq!(health["ready"], true);
    assert_eq!(health["store"]["reachable"], true);

    let alice = connect(&url, ALICE).await;
    let unknown = json!({ "task_id": "0".repeat(32) });
    call(&alice, "deploy_status", unknown).await;
    assert_eq!(
        get(&url, "/metrics", &[]).await.status,
        StatusCode::UNAUTHORIZED
    );
    let (header, token) = by(ALICE);
    let scraped = get(&url, "/metrics", &[(header, &token)]).await;
    assert_eq!(scraped.status, StatusCode::OK);
    assert!(
        scraped
            .body
            .contains("mcp_async_store_call_duration_seconds_bucket"),
        "{}",
        scraped.body
    );
}

#[tokio::test]
async fn a_server_that_shuts_down_is_not_healthy() {
    let fixture = Fixture::new();
    let http = Options::parse_from(["test", "--http", "127.0.0.1:0"]).http;
    let callers = http.callers().unwrap();
    let builder = callers.known_to(crate::server(fixture.deployments.clone()));
    let tools = builder.build().await.unwrap();
    let router = http.router(&tools, callers, metrics(), CancellationToken::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    tools.shutdown().await;
    let health = get(&url, "/health", &[]).await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(health.body.contains("\"ready\":false"), "{}", health.body);
}

#[tokio::test]
async fn an_address_that_others_reach_needs_tokens() {
    let fixture = Fixture::new();
    let root = fixture.artifact("..");
    let refused = async |options: &[&str]| {
        let arguments = ["deploy_server", "--root", "unused", "--http"];
        let serving = Cli::parse_from(arguments.iter().chain(options)).serving;
        let builder = crate::server(fixture.deployments.clone());
        serving.run(builder, &root).await.unwrap_err().to_string()
    };
    for address in ["0.0.0.0:0", "[::]:0"] {
        let refused = refused(&[address]).await;
        assert!(refused.contains("`--tokens FILE`"), "{refused}");
    }
    let refused = refused(&["127.0.0.1:0", "--tokens", "/nowhere/at/all"]).await;
    assert!(refused.contains("`/nowhere/at/all`"), "{refused}");
}

fn basic(name: &str, token: &str) -> String {
    use base64::Engine;
    let credentials = base64::prelude::BASE64_STANDARD.encode(format!("{name}:{token}"));
    format!("Basic {credentials}")
}

#[tokio::test]
async fn the_dashboard_is_the_operators_alone() {
    let fixture = Fixture::new();
    let url = guarded(&fixture, &["--operator", "bob"]).await;
    for path in [
        "/dashboard",
        "/dashboard/",
        "/dashboard/api/tasks",
        "/dashboard/app.js",
    ] {
        let refused = get(&url, path, &[]).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
        let challenge = refused.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Basic "), "{challenge}");
        for (name, token, status) in [
            ("bob", BOB, StatusCode::OK),
            ("alice", ALICE, StatusCode::UNAUTHORIZED),
            ("bob", ALICE, StatusCode::UNAUTHORIZED),
            ("alice", BOB, StatusCode::UNAUTHORIZED),
            ("bob", "", StatusCode::UNAUTHORIZED),
        ] {
            let credentials = basic(name, token);
            let answer = get(&url, path, &[("authorization", &credentials)]).await;
            assert_eq!(answer.status, status, "{path} {name}");
        }
    }

    let none = guarded(&Fixture::new(), &[]).await;
    let (header, token) = by(BOB);
    let answer = get(&none, "/dashboard", &[(header, &token)]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let open = served(&Fixture::new(), &[]).await;
    assert_eq!(get(&open, "/dashboard", &[]).await.status, StatusCode::OK);
}

#[test]
fn an_operator_needs_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    std::fs::write(&file, format!("alice:{ALICE}\n")).unwrap();
    let all = [
        "test",
        "--http",
        "127.0.0.1:0",
        "--operator",
        "bob",
        "--tokens",
    ];
    let all = all.into_iter().chain([file.to_str().unwrap()]);
    let error = Options::parse_from(all).http.callers().unwrap_err();
    assert!(error.to_string().contains("--operator bob"), "{error}");
}
