//! Concurrency, queues, sizes.

use std::time::Duration;

use async_tool::testing::TestServer;
use futures_util::future::join_all;
use serde_json::json;

use crate::tools::{builder, start};

#[tokio::test(start_paused = true)]
async fn a_tool_runs_as_many_as_it_says_and_queues_as_many_as_it_says() {
    let server = start().await;
    let first = server
        .call("single_initiate", json!({"millis": 10_000}))
        .await;
    let second = server
        .call("single_initiate", json!({"millis": 10_000}))
        .await;
    assert_eq!(first["status"], "working");
    assert_eq!(second["status"], "queued");
    let third = server
        .call("single_initiate", json!({"millis": 10_000}))
        .await;
    assert!(third.is_error);
    assert_eq!(third.error_code(), Some("overloaded"));
    assert_eq!(third["error"]["retryable"], true);
    let after = third["error"]["retry_after_seconds"].as_u64();
    assert!(after.is_some_and(|seconds| (1..=60).contains(&seconds)));
    assert!(
        third.text.contains("1 tasks of this tool"),
        "{}",
        third.text
    );

    let other = server.call("nap_initiate", json!({"millis": 1})).await;
    let other = server.finish("nap", other.id()).await;
    assert_eq!(other["status"], "completed", "other tools are not held up");
    let waiting = server
        .call("single_status", json!({"task_id": second.id()}))
        .await;
    assert_eq!(waiting["status"], "queued");

    tokio::time::sleep(Duration::from_millis(10_500)).await;
    let moved = server
        .call("single_status", json!({"task_id": second.id()}))
        .await;
    assert_eq!(moved["status"], "working");
    assert_eq!(
        server.finish("single", first.id()).await["status"],
        "completed"
    );
    assert_eq!(
        server.finish("single", second.id()).await["status"],
        "completed"
    );
}

#[tokio::test(start_paused = true)]
async fn slots_bound_what_runs_in_all_and_everything_gets_its_turn() {
    let server = TestServer::start(builder().slots(3)).await;
    let started = tokio::time::Instant::now();
    let tasks =
        join_all((0..30).map(|_| server.call("nap_initiate", json!({"millis": 1000})))).await;
    let working = tasks
        .iter()
        .filter(|task| task["status"] == "working")
        .count();
    assert_eq!(working, 3);
    let ends = join_all(tasks.iter().map(|task| server.finish("nap", task.id()))).await;
    assert!(ends.iter().all(|end| end["status"] == "completed"));
    let took = started.elapsed();
    assert!(
        took >= Duration::from_secs(10) && took < Duration::from_secs(12),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_whole_queue_is_bounded_too() {
    let server = TestServer::start(builder().slots(1).queue(2)).await;
    for status in ["working", "queued", "queued"] {
        let task = server.call("nap_initiate", json!({"millis": 1000})).await;
        assert_eq!(task["status"], status);
    }
    let refused = server.call("quick_initiate", json!({"millis": 1})).await;
    assert_eq!(refused.error_code(), Some("overloaded"));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_slots_accepts_and_runs_nothing() {
    let server = TestServer::start(builder().slots(0)).await;
    let task = server.call("nap_initiate", json!({"millis": 1})).await;
    assert_eq!(task["status"], "queued");
    tokio::time::sleep(Duration::from_secs(600)).await;
    let still = server
        .call("nap_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(still["status"], "queued");
}

#[tokio::test(start_paused = true)]
async fn servers_that_share_a_store_share_their_tasks() {
    let store = async_tool::MemoryStore::new();
    let front = TestServer::start(builder().store(store.clone()).slots(0)).await;
    let back = TestServer::start(builder().store(store)).await;
    let task = front.call("nap_initiate", json!({"millis": 2000})).await;
    let end = front.finish("nap", task.id()).await;
    assert_eq!(end["status"], "completed");

    let task = front.call("nap_initiate", json!({"millis": 60_000})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = front
        .call("nap_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(seen["status"], "working");
    let cancelled = front
        .call(
            "nap_cancel",
            json!({"task_id": task.id(), "reason": "enough"}),
        )
        .await;
    assert_eq!(cancelled["status"], "cancelled", "{}", cancelled.text);
    assert_eq!(cancelled["message"], "enough");
    drop(back);
}

#[tokio::test(start_paused = true)]
async fn the_tasks_of_a_dead_worker_are_taken_over_within_two_lease_times() {
    let store = async_tool::MemoryStore::new();
    let lease = Duration::from_secs(15);
    let front = TestServer::start(builder().store(store.clone()).slots(0)).await;
    let back = TestServer::start(builder().store(store).lease(lease)).await;
    let task = front
        .call("nap_initiate", json!({"millis": 3_600_000}))
        .await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let seen = front
        .call("nap_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(seen["status"], "working", "age does not prove death");

    drop(back);
    let died = tokio::time::Instant::now();
    let end = front.finish("nap", task.id()).await;
    assert_eq!(end.error_code(), Some("interrupted"));
    assert_eq!(end["error"]["retryable"], true);
    assert!(died.elapsed() <= lease * 2, "{:?}", died.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_freed_slot_is_used_at_once_and_its_tool_is_known_to_be_quick() {
    let server = start().await;
    let started = tokio::time::Instant::now();
    let task = json!({"millis": 1_000});
    server.call("single_initiate", task.clone()).await;
    let second = server.call("single_initiate", task.clone()).await;
    server.finish("single", second.id()).await;
    // And not with the next round of the sweeper.
    assert!(started.elapsed() < Duration::from_millis(2_500));

    for _ in 0..2 {
        server.call("single_initiate", task.clone()).await;
    }
    let refused = server.call("single_initiate", task).await;
    assert_eq!(refused["error"]["retry_after_seconds"], 1);
}
