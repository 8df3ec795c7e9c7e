//! Limits of each principal.

use std::time::Duration;

use async_tool::testing::{Answer, TestServer};
use async_tool::{AsyncTools, AsyncToolsBuilder, MemoryStore, Principal, Surface};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::tools::builder;

/// Everybody is who their client says, and `nobody` is nobody.
fn by_client_name() -> AsyncToolsBuilder {
    builder().principal(|request| {
        let client = request.context().client_info()?;
        (client.name != "nobody").then(|| Principal::new(client.name))
    })
}

async fn build(builder: AsyncToolsBuilder) -> AsyncTools {
    let first = TestServer::start(builder).await;
    first.tools().clone()
}

async fn nap(client: &TestServer, seconds: u64) -> Answer {
    let arguments = json!({ "millis": seconds * 1000 });
    client.call("nap_initiate", arguments).await
}

fn refusal(answer: &Answer) -> (&str, u64) {
    assert_eq!(answer.error_code(), Some("overloaded"), "{}", answer.text);
    assert_eq!(answer["error"]["retryable"], true);
    let after = answer["error"]["retry_after_seconds"].as_u64();
    let message = answer["error"]["message"].as_str();
    (message.expect("a message"), after.expect("whole seconds"))
}

async fn status(client: &TestServer, task: &Answer) -> Value {
    let id = json!({ "task_id": task.id() });
    client.call("nap_status", id).await["status"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_principal_runs_so_many_over_all_workers_and_tools() {
    let store = MemoryStore::new();
    let limited = || {
        by_client_name()
            .running_per_principal(2)
            .store(store.clone())
    };
    let (here, there) = (build(limited()).await, build(limited()).await);
    let alice = TestServer::connect_as(here.clone(), "alice").await;
    let elsewhere = TestServer::connect_as(there, "alice").await;

    let first = nap(&alice, 10).await;
    assert_eq!(first["status"], "working");
    let second = elsewhere.call("work_initiate", json!({ "units": 5 })).await;
    assert_eq!(second["status"], "working", "{}", second.text);
    let third = nap(&elsewhere, 10).await;
    assert_eq!(third["status"], "queued");
    // Others are not held up, though something is queued.
    let bob = TestServer::connect_as(here.clone(), "bob").await;
    let nobody = TestServer::connect_as(here, "nobody").await;
    let mut others = Vec::new();
    for client in [&bob, &nobody, &nobody, &nobody] {
        others.push((client, nap(client, 10).await));
    }
    sleep(Duration::from_secs(6)).await;
    for (client, task) in &others {
        assert_eq!(status(client, task).await, "working");
    }
    assert_eq!(status(&elsewhere, &third).await, "queued");
    sleep(Duration::from_secs(5)).await;
    assert_eq!(status(&elsewhere, &third).await, "working");
}

#[tokio::test(start_paused = true)]
async fn a_principal_has_so_many_waiting() {
    let limited = by_client_name()
        .running_per_principal(1)
        .queued_per_principal(2);
    let tools = build(limited).await;
    let alice = TestServer::connect_as(tools.clone(), "alice").await;
    let keyed = json!({ "millis": 10_000, "idempotency_key": "k" });
    let first = alice.call("nap_initiate", keyed.clone()).await;
    for _ in 0..2 {
        assert_eq!(nap(&alice, 10).await["status"], "queued");
    }
    let refused = nap(&alice, 10).await;
    let (message, after) = refusal(&refused);
    assert!(message.contains("2 of your tasks"), "{message}");
    assert!((1..=60).contains(&after), "{after}");
    // What exists is told all the same.
    let replayed = alice.call("nap_initiate", keyed).await;
    assert_eq!(replayed.id(), first.id());
    let bob = TestServer::connect_as(tools, "bob").await;
    assert_eq!(nap(&bob, 10).await["status"], "working");

    alice.finish("nap", first.id()).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(nap(&alice, 10).await["status"], "queued");
}

#[tokio::test(start_paused = true)]
async fn a_principal_makes_so_many_calls_a_minute() {
    let tools = build(by_client_name().initiations_per_minute(6)).await;
    let alice = TestServer::connect_as(tools.clone(), "alice").await;
    let keyed = json!({ "millis": 1, "idempotency_key": "k" });
    let first = alice.call("nap_initiate", keyed.clone()).await;
    for _ in 0..5 {
        let task = nap(&alice, 0).await;
        assert!(!task.is_error, "{}", task.text);
    }
    let refused = nap(&alice, 0).await;
    let (message, after) = refusal(&refused);
    assert!(message.contains("6 calls a minute"), "{message}");
    assert_eq!(after, 10);
    let replayed = alice.call("nap_initiate", keyed).await;
    assert_eq!(replayed.id(), first.id(), "{}", replayed.text);
    let id = json!({ "task_id": first.id() });
    assert!(!alice.call("nap_status", id).await.is_error);

    // Others have calls of their own, and those whom nobody knows share theirs.
    let bob = TestServer::connect_as(tools.clone(), "bob").await;
    assert!(!nap(&bob, 0).await.is_error);
    let strangers = [
        TestServer::connect_as(tools.clone(), "nobody").await,
        TestServer::connect_as(tools, "nobody").await,
    ];
    for number in 0..6 {
        let task = nap(&strangers[number % 2], 0).await;
        assert!(!task.is_error, "{}", task.text);
    }
    refusal(&nap(&strangers[0], 0).await);

    sleep(Duration::from_secs(after)).await;
    assert!(!nap(&alice, 0).await.is_error);
    refusal(&nap(&alice, 0).await);
}

#[tokio::test(start_paused = true)]
async fn native_calls_have_the_same_limits() {
    let limited = by_client_name()
        .surface([Surface::Native, Surface::Shared])
        .initiations_per_minute(2);
    let tools = build(limited).await;
    let alice = TestServer::connect_as(tools, "alice").await;
    assert!(!nap(&alice, 0).await.is_error);
    let native = alice.call("nap", json!({ "millis": 1 })).await;
    assert!(!native.is_error, "{}", native.text);
    let refused = alice.call("nap", json!({ "millis": 1 })).await;
    assert!(refused.is_error);
    assert!(refused.text.contains("overloaded"), "{}", refused.text);
    refusal(&nap(&alice, 0).await);
}

#[tokio::test]
async fn limits_that_limit_nobody_or_everything_are_mistakes() {
    let problems = async |builder: AsyncToolsBuilder| {
        let error = builder.build().await.expect_err("does not build");
        error.problems().join("\n")
    };
    let unknown = builder().running_per_principal(1).queued_per_principal(0);
    let found = problems(unknown).await;
    assert!(found.contains("`.running_per_principal(...)`"), "{found}");
    assert!(found.contains("`.queue(...)`"), "{found}");
    let nothing = by_client_name()
        .running_per_principal(0)
        .initiations_per_minute(0);
    let found = problems(nothing).await;
    assert!(found.contains("`.running_per_principal(0)`"), "{found}");
    assert!(found.contains("`.initiations_per_minute(0)`"), "{found}");
}
