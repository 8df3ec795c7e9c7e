//! Ending the server in order.

use std::time::Duration;

use async_tool::testing::TestServer;
use serde_json::json;
use tokio::time::Instant;

use crate::tools::{builder, start};

#[tokio::test(start_paused = true)]
async fn running_tasks_get_the_drain_time() {
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 15_000})).await;
    let started = Instant::now();
    server.tools().shutdown().await;
    assert_eq!(started.elapsed().as_secs(), 15, "no longer than needed");
    let end = server
        .call("nap_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(end["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn what_has_not_ended_by_then_is_interrupted() {
    let server = TestServer::start(builder().drain(Duration::from_secs(3))).await;
    let soft = server
        .call("nap_initiate", json!({"millis": 3_600_000}))
        .await;
    let hard = server
        .call(
            "nap_initiate",
            json!({"millis": 3_600_000, "stubborn": true}),
        )
        .await;
    let started = Instant::now();
    server.tools().shutdown().await;
    assert!(
        started.elapsed() < Duration::from_millis(4_500),
        "{:?}",
        started.elapsed()
    );
    for task in [soft, hard] {
        let end = server
            .call("nap_status", json!({"task_id": task.id()}))
            .await;
        assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
        assert_eq!(end["error"]["retryable"], true);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_calls_are_answered_at_once_and_new_ones_refused() {
    let server = TestServer::start(builder().drain(Duration::from_secs(10))).await;
    let task = server.call("nap_initiate", json!({"millis": 8_000})).await;
    let waiting = server.call(
        "nap_status",
        json!({"task_id": task.id(), "wait_seconds": 50}),
    );
    let started = Instant::now();
    let (answer, ()) = tokio::join!(
        async {
            let answer = waiting.await;
            assert!(
                started.elapsed() < Duration::from_secs(3),
                "{:?}",
                started.elapsed()
            );
            let refused = server.call("nap_initiate", json!({"millis": 1})).await;
            assert_eq!(refused.error_code(), Some("shutting_down"));
            answer
        },
        async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            server.tools().shutdown().await;
        }
    );
    assert_eq!(answer["status"], "working");
}
