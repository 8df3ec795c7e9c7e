//! What is there at this moment.

use std::time::Duration;

use async_tool::testing::TestServer;
use serde_json::json;
use tokio::time::sleep;

use super::scrape::Scraper;
use crate::tools::{builder, start};

#[tokio::test(start_paused = true)]
async fn running_tasks_are_counted_however_they_end() {
    let scraper = Scraper::install();
    let server = start().await;
    let running = |tool: &str| {
        let label = format!(r#"tool="{tool}""#);
        scraper.value("tasks_running", &[&*label])
    };
    let first = server.call("nap_initiate", json!({"millis": 60_000})).await;
    server.call("nap_initiate", json!({"millis": 90_000})).await;
    let odd = server.call("odd_initiate", json!({"how": "panic"})).await;
    server.finish("odd", odd.id()).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!((running("nap"), running("odd")), (2.0, 0.0));
    server
        .call("nap_cancel", json!({"task_id": first.id()}))
        .await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(running("nap"), 1.0);

    // As in a crash: nothing is written any more.
    drop(server);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(running("nap"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_counted_every_few_seconds() {
    let scraper = Scraper::install();
    let server = TestServer::start(builder().slots(0)).await;
    let queued = || scraper.value("tasks_queued", &[r#"tool="nap""#]);
    for _ in 0..3 {
        server.call("nap_initiate", json!({"millis": 1})).await;
    }
    sleep(Duration::from_secs(6)).await;
    assert_eq!(queued(), 3.0);
    let oldest = scraper.value("queue_oldest_age_seconds", &[r#"tool="nap""#]);
    assert!((0.9..6.0).contains(&oldest), "{oldest} s");
    assert_eq!(scraper.value("tasks_queued", &[r#"tool="odd""#]), 0.0);

    // All are too late by then.
    sleep(Duration::from_secs(25 * 60 * 60)).await;
    assert_eq!(queued(), 0.0);
}

#[tokio::test(start_paused = true)]
async fn waiting_calls_are_counted() {
    let scraper = Scraper::install();
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 10_000})).await;
    let arguments = json!({"task_id": task.id(), "wait_seconds": 30});
    let waiting = || scraper.value("calls_waiting", &[]);
    tokio::join!(server.call("nap_status", arguments), async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(waiting(), 1.0);
    });
    assert_eq!(waiting(), 0.0);
}
