//! Progress in snapshots and in notifications.

use async_tool::testing::TestServer;
use serde_json::json;

use crate::tools::start;

#[tokio::test(start_paused = true)]
async fn a_snapshot_shows_steps_counts_fraction_eta_and_message() {
    let server = start().await;
    let task = server.call("work_initiate", json!({"units": 10})).await;
    tokio::time::sleep(std::time::Duration::from_millis(14_500)).await;
    let seen = server
        .call("work_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(
        seen["progress"],
        json!({
            "fraction": 0.466, "current": 4, "total": 10,
            "step": "work", "step_number": 2, "step_count": 3,
        })
    );
    assert_eq!(seen["message"], "unit 4");
    let eta = seen["eta_seconds"].as_u64().unwrap_or_default();
    assert!((14..=18).contains(&eta), "{eta}");
    let pause = seen["poll_after_seconds"].as_u64().unwrap_or_default();
    assert_eq!(pause, 8);
    let size = seen.structure.to_string().len();
    assert!(size <= 300, "a working snapshot is small: {size} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_sends_growing_progress_notifications() {
    let server = start().await;
    let task = server.call("work_initiate", json!({"units": 5})).await;
    let arguments = json!({"task_id": task.id(), "wait_seconds": 50});
    let (answer, sent) = server.call_with_progress("work_status", arguments).await;
    assert_eq!(answer["done"], true);
    // 15 seconds, a new message each second, at most two a second.
    assert!((15..=31).contains(&sent.len()), "{}", sent.len());
    assert!(
        sent.windows(2)
            .all(|pair| pair[0].progress < pair[1].progress)
    );
    let first = sent[0].message.clone().unwrap_or_default();
    assert!(
        first.contains("prepare (1/3)") && first.contains("unit 0"),
        "{first}"
    );
    let last = sent
        .last()
        .and_then(|n| n.message.clone())
        .unwrap_or_default();
    assert!(last.contains("tidy (3/3)"), "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_task_still_sends_a_sign_of_life() {
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 49_000})).await;
    let arguments = json!({"task_id": task.id(), "wait_seconds": 50});
    let (_, sent) = server.call_with_progress("nap_status", arguments).await;
    // At once, and every 15 seconds.
    assert_eq!(sent.len(), 4, "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn progress_reaches_a_server_that_does_not_run_the_task() {
    let store = async_tool::MemoryStore::new();
    let front = TestServer::start(crate::tools::builder().store(store.clone()).slots(0)).await;
    let _back = TestServer::start(crate::tools::builder().store(store)).await;
    let task = front.call("work_initiate", json!({"units": 10})).await;
    tokio::time::sleep(std::time::Duration::from_secs(15)).await;
    let seen = front
        .call("work_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(seen["progress"]["step"], "work");
    let since = seen["revision"].clone();
    let answer = front
        .call(
            "work_status",
            json!({"task_id": task.id(), "wait_seconds": 50, "until": "step", "since": since}),
        )
        .await;
    assert_eq!(answer["progress"]["step"], "tidy");
}
