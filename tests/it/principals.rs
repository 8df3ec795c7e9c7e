//! Tasks belong to those who initiated them.

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, Principal};
use serde_json::json;

use crate::tools::builder;

/// Everybody is who their client says; a real server asks a verified token.
fn by_client_name() -> async_tool::AsyncToolsBuilder {
    builder().principal(|request| {
        let client = request.context().client_info()?;
        Some(Principal::new(client.name))
    })
}

async fn two_clients(tools: &AsyncTools) -> (TestServer, TestServer) {
    let alice = TestServer::connect_as(tools.clone(), "alice").await;
    let bob = TestServer::connect_as(tools.clone(), "bob").await;
    (alice, bob)
}

#[tokio::test]
async fn foreign_tasks_do_not_exist() {
    let tools = by_client_name().build().await.expect("builds");
    let (alice, bob) = two_clients(&tools).await;
    let task = alice.call("nap_initiate", json!({"millis": 60_000})).await;
    let id = json!({"task_id": task.id()});

    let never = bob
        .call("nap_status", json!({"task_id": "0".repeat(32)}))
        .await;
    for tool in ["nap_status", "nap_cancel"] {
        let foreign = bob.call(tool, id.clone()).await;
        assert!(foreign.is_error);
        assert_eq!(foreign.structure, never.structure, "not even a hint");
    }
    let own = alice.call("nap_status", id).await;
    assert_eq!(own["status"], "working");
}

#[tokio::test]
async fn keys_are_scoped_by_principal() {
    let tools = by_client_name().build().await.expect("builds");
    let (alice, bob) = two_clients(&tools).await;
    let hers = json!({"millis": 1, "idempotency_key": "k"});
    let his = json!({"millis": 2, "idempotency_key": "k"});
    let first = alice.call("nap_initiate", hers).await;
    let second = bob.call("nap_initiate", his).await;
    assert!(!second.is_error, "{}", second.text);
    assert_ne!(first.id(), second.id());
}

#[tokio::test]
async fn a_required_principal_is_required() {
    let tools = builder()
        .principal(|_| None)
        .require_principal()
        .build()
        .await
        .expect("builds");
    let client = TestServer::connect(tools).await;
    let refused = client.call("nap_initiate", json!({"millis": 1})).await;
    assert_eq!(refused.error_code(), Some("unauthenticated"));
}
