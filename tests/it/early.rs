//! Status calls that come before they were advised to.

use std::time::Duration;

use async_tool::testing::{Answer, TestServer};
use async_tool::{MemoryStore, Principal};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tokio::time::sleep;

use crate::flaky::Flaky;
use crate::tools::builder;

async fn status(server: &TestServer, task: &Answer) -> Answer {
    server
        .call("nap_status", json!({ "task_id": task.id() }))
        .await
}

/// A server that executes nothing, on a store that counts its reads.
async fn front(store: &MemoryStore) -> (TestServer, Flaky) {
    let counted = Flaky::new(store.clone());
    let server = TestServer::start(builder().store(counted.clone()).slots(0)).await;
    (server, counted)
}

#[tokio::test(start_paused = true)]
async fn an_early_call_is_answered_without_the_store() {
    let (server, store) = front(&MemoryStore::new()).await;
    let task = server.call("nap_initiate", json!({ "millis": 1 })).await;
    // The first answer advises too.
    for _ in 0..10 {
        assert_eq!(status(&server, &task).await["status"], "queued");
    }
    assert_eq!(store.take_reads(), []);
    sleep(Duration::from_secs(8)).await;
    let told = status(&server, &task).await;
    assert_eq!(store.take_reads().len(), 1);
    let pause = told["poll_after_seconds"].as_u64().expect("advised");
    assert_eq!(pause, 8);
    for _ in 0..10 {
        assert_eq!(status(&server, &task).await.structure, told.structure);
    }
    sleep(Duration::from_secs(pause) - Duration::from_millis(1)).await;
    status(&server, &task).await;
    assert_eq!(store.take_reads(), []);
    sleep(Duration::from_millis(1)).await;
    status(&server, &task).await;
    assert_eq!(store.take_reads().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_is_never_answered_from_memory() {
    let (server, store) = front(&MemoryStore::new()).await;
    let task = server.call("nap_initiate", json!({ "millis": 1 })).await;
    let waits = json!({ "task_id": task.id(), "wait_seconds": 1 });
    server.call("nap_status", waits).await;
    assert!(!store.take_reads().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_change_is_seen_at_once_wherever_it_happens() {
    let store = MemoryStore::new();
    let (server, _) = front(&store).await;
    let task = server
        .call("nap_initiate", json!({ "millis": 60_000 }))
        .await;
    assert_eq!(status(&server, &task).await["status"], "queued");

    // Another replica takes it.
    let other = TestServer::start(builder().store(store)).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(status(&server, &task).await["status"], "working");
    assert_eq!(status(&server, &task).await["status"], "working");
    let id = json!({ "task_id": task.id(), "reason": "enough" });
    let cancelled = other.call("nap_cancel", id).await;
    assert_eq!(cancelled["status"], "cancelled", "{}", cancelled.text);
    sleep(Duration::from_millis(1)).await;
    let end = status(&server, &task).await;
    assert_eq!(end["status"], "cancelled", "{}", end.text);

    // So does this one.
    drop(other);
    sleep(Duration::from_secs(1)).await;
    let task = server.call("nap_initiate", json!({ "millis": 1 })).await;
    let id = json!({ "task_id": task.id() });
    status(&server, &task).await;
    server.call("nap_cancel", id).await;
    let end = status(&server, &task).await;
    assert_eq!(end["done"], true, "{}", end.text);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_when_it_was_queued_is_forgotten_when_it_has_run_here() {
    let server = TestServer::start(builder().slots(1)).await;
    let first = server.call("nap_initiate", json!({ "millis": 900 })).await;
    let second = server.call("nap_initiate", json!({ "millis": 5 })).await;
    assert_eq!(status(&server, &second).await["status"], "queued");
    server.finish("nap", first.id()).await;
    server.finish("nap", second.id()).await;
    let end = status(&server, &second).await;
    assert_eq!(end["status"], "completed", "{}", end.text);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_to_one_is_told_to_nobody_else() {
    let by_name = builder().slots(0).principal(|request| {
        let client = request.context().client_info()?;
        Some(Principal::new(client.name))
    });
    let tools = by_name.build().await.expect("builds");
    let alice = TestServer::connect_as(tools.clone(), "alice").await;
    let bob = TestServer::connect_as(tools, "bob").await;
    let task = alice.call("nap_initiate", json!({ "millis": 1 })).await;
    assert_eq!(status(&alice, &task).await["status"], "queued");
    let foreign = status(&bob, &task).await;
    assert_eq!(foreign.error_code(), Some("task_not_found"));
    let other_tool = json!({ "task_id": task.id() });
    let other_tool = alice.call("work_status", other_tool).await;
    assert_eq!(other_tool.error_code(), Some("task_not_found"));
}

#[tokio::test(start_paused = true)]
async fn what_runs_here_is_told_as_it_is() {
    let server = TestServer::start(builder()).await;
    let task = server.call("work_initiate", json!({ "units": 60 })).await;
    let id = json!({ "task_id": task.id() });
    sleep(Duration::from_secs(40)).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let told = server.call("work_status", id.clone()).await;
        seen.push(told["progress"]["current"].as_u64());
        sleep(Duration::from_secs(2)).await;
    }
    assert!(seen.is_sorted_by(|left, right| left < right), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn early_calls_are_counted_wherever_the_task_runs() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let server = TestServer::start(builder().slots(1)).await;
    let long = json!({ "millis": 3_600_000 });
    let running = server.call("nap_initiate", long.clone()).await;
    let queued = server.call("nap_initiate", long).await;
    for _ in 0..3 {
        status(&server, &running).await;
        status(&server, &queued).await;
    }
    sleep(Duration::from_secs(40)).await;
    for _ in 0..2 {
        status(&server, &running).await;
        status(&server, &queued).await;
    }
    let scraped = recorder.handle().render();
    for (early, count) in [("true", 8), ("false", 2)] {
        let line =
            format!("mcp_async_status_calls_total{{tool=\"nap\",early=\"{early}\"}} {count}\n");
        assert!(scraped.contains(&line), "{line}{scraped}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_waiting_call_was_told_is_not_taken_back() {
    let store = MemoryStore::new();
    let deaf = Flaky::new(store.clone());
    let server = TestServer::start(builder().store(deaf.clone()).slots(0)).await;
    // It hears of no change that another replica makes.
    deaf.silence();
    let task = server
        .call("nap_initiate", json!({ "millis": 60_000 }))
        .await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(status(&server, &task).await["status"], "queued");
    let _other = TestServer::start(builder().store(store)).await;
    let waits = json!({ "task_id": task.id(), "wait_seconds": 3, "until": "step" });
    let told = server.call("nap_status", waits).await;
    assert_eq!(told["status"], "working", "{}", told.text);
    assert_eq!(status(&server, &task).await["status"], "working");
}
