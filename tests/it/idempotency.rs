//! The same key, the same task.

use std::sync::Arc;
use std::time::Duration;

use async_tool::testing::TestServer;
use futures_util::future::join_all;
use serde_json::json;

use crate::tools::{Runs, SharedRuns, all, builder, start};

fn keyed(millis: u64, key: &str) -> serde_json::Value {
    json!({"millis": millis, "idempotency_key": key})
}

#[tokio::test(start_paused = true)]
async fn the_same_key_and_arguments_give_the_same_task_and_one_run() {
    let runs: SharedRuns = Arc::new(Runs::default());
    let server = TestServer::start(
        async_tool::AsyncTools::builder()
            .registry(all())
            .state(Arc::clone(&runs)),
    )
    .await;
    let first = server.call("nap_initiate", keyed(1000, "k")).await;
    assert!(first.structure.get("replayed").is_none());
    let again = server.call("nap_initiate", keyed(1000, "k")).await;
    assert_eq!(again.id(), first.id());
    assert_eq!(again["replayed"], true);

    let end = server.finish("nap", first.id()).await;
    let after = server.call("nap_initiate", keyed(1000, "k")).await;
    assert_eq!(after.id(), first.id());
    assert_eq!(
        after["result"], end["result"],
        "a replay of an ended task has its result"
    );
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_key_with_other_arguments_is_a_conflict_that_names_the_task() {
    let server = start().await;
    let first = server.call("nap_initiate", keyed(1000, "k")).await;
    let conflict = server.call("nap_initiate", keyed(2000, "k")).await;
    assert!(conflict.is_error);
    assert_eq!(conflict.error_code(), Some("idempotency_conflict"));
    assert_eq!(conflict["error"]["details"]["task_id"], first["task_id"]);
    assert!(conflict.text.contains(first.id()));
}

#[tokio::test(start_paused = true)]
async fn control_properties_are_not_part_of_the_arguments() {
    let server = start().await;
    let first = server.call("nap_initiate", keyed(1000, "k")).await;
    let mut arguments = keyed(1000, "k");
    arguments["max_wait_seconds"] = json!(60);
    let again = server.call("nap_initiate", arguments).await;
    assert_eq!(again.id(), first.id());
}

#[tokio::test(start_paused = true)]
async fn a_key_is_of_one_tool() {
    let server = start().await;
    let nap = server.call("nap_initiate", keyed(1, "k")).await;
    let quick = server.call("quick_initiate", keyed(1, "k")).await;
    assert_ne!(nap.id(), quick.id());
    assert!(quick.structure.get("replayed").is_none());
}

#[tokio::test(start_paused = true)]
async fn racing_calls_with_one_key_make_one_task() {
    let server = start().await;
    let answers = join_all((0..50).map(|_| server.call("nap_initiate", keyed(100, "race")))).await;
    let fresh = answers
        .iter()
        .filter(|answer| answer.structure.get("replayed").is_none())
        .count();
    assert_eq!(fresh, 1);
    assert!(answers.iter().all(|answer| answer.id() == answers[0].id()));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_answered_while_overloaded_and_while_draining() {
    let server = TestServer::start(builder().drain(Duration::from_secs(5))).await;
    let first = server.call("single_initiate", keyed(60_000, "a")).await;
    let second = server.call("single_initiate", keyed(60_000, "b")).await;
    let full = server.call("single_initiate", keyed(60_000, "c")).await;
    assert_eq!(full.error_code(), Some("overloaded"));
    let replay = server.call("single_initiate", keyed(60_000, "b")).await;
    assert_eq!(replay.id(), second.id());

    server.tools().shutdown().await;
    let replay = server.call("single_initiate", keyed(60_000, "a")).await;
    assert_eq!(replay.id(), first.id());
    let new = server.call("single_initiate", keyed(60_000, "d")).await;
    assert_eq!(new.error_code(), Some("shutting_down"));
}

#[tokio::test(start_paused = true)]
async fn the_replay_of_a_failed_task_says_how_to_run_again() {
    let server = start().await;
    let arguments = json!({"how": "error", "idempotency_key": "k"});
    let first = server.call("odd_initiate", arguments.clone()).await;
    server.finish("odd", first.id()).await;
    let replay = server.call("odd_initiate", arguments).await;
    assert_eq!(replay["status"], "failed");
    let next = replay["next"].as_str().unwrap_or_default();
    assert!(next.contains("new idempotency_key"), "{next}");
}
