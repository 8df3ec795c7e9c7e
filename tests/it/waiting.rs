//! The bounded wait of the status tool.

use std::time::Duration;

use async_tool::testing::TestServer;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use crate::tools::{builder, start};

#[tokio::test(start_paused = true)]
async fn a_wait_answers_when_the_task_ends() {
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 7_000})).await;
    let started = Instant::now();
    let answer = server
        .call(
            "nap_status",
            json!({"task_id": task.id(), "wait_seconds": 40}),
        )
        .await;
    assert_eq!(answer["done"], true);
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(6_900) && took < Duration::from_millis(7_100),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_over_answers_what_there_is() {
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 60_000})).await;
    let started = Instant::now();
    let answer = server
        .call(
            "nap_status",
            json!({"task_id": task.id(), "wait_seconds": 2.5}),
        )
        .await;
    assert!(!answer.is_error, "the end of a wait is no error");
    assert_eq!(answer["status"], "working");
    assert_eq!(started.elapsed().as_millis() / 100, 25);
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_cut_to_the_cap() {
    let server = TestServer::start(builder().max_wait_per_call(Duration::from_secs(5))).await;
    let task = server
        .call("nap_initiate", json!({"millis": 600_000}))
        .await;
    for wait in [json!(50), json!(1e300)] {
        let started = Instant::now();
        server
            .call(
                "nap_status",
                json!({"task_id": task.id(), "wait_seconds": wait}),
            )
            .await;
        assert_eq!(started.elapsed().as_secs(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn until_step_answers_when_the_step_changes() {
    let server = start().await;
    let task = server.call("work_initiate", json!({"units": 20})).await;
    let first = server
        .call("work_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(first["progress"]["step"], "prepare");
    let started = Instant::now();
    let answer = server
        .call(
            "work_status",
            json!({
                "task_id": task.id(), "wait_seconds": 50,
                "until": "step", "since": first["revision"],
            }),
        )
        .await;
    assert_eq!(answer["progress"]["step"], "work");
    assert_eq!(answer["done"], false);
    assert!(answer["revision"].as_u64() > first["revision"].as_u64());
    assert_eq!(started.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn until_step_answers_changes_no_faster_than_advised() {
    let server = start().await;
    // A step each second.
    let task = server.call("work_initiate", json!({"units": 1})).await;
    let first = server
        .call("work_status", json!({"task_id": task.id()}))
        .await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let started = Instant::now();
    let answer = server
        .call(
            "work_status",
            json!({
                "task_id": task.id(), "wait_seconds": 50,
                "until": "step", "since": first["revision"],
            }),
        )
        .await;
    // Changed already, yet answered after the advised pause, or at the end.
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?} {}", answer.text);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_result_can_be_left_out() {
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 1})).await;
    server.finish("nap", task.id()).await;
    let answer = server
        .call(
            "nap_status",
            json!({"task_id": task.id(), "include_result": false}),
        )
        .await;
    assert_eq!(answer["status"], "completed");
    assert!(answer.structure.get("result").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_inline_tool_answers_its_result_at_once_if_it_is_quick() {
    let server = start().await;
    let quick = server.call("quick_initiate", json!({"millis": 900})).await;
    assert_eq!(quick["status"], "completed");
    assert_eq!(quick["result"], 900);
    let started = Instant::now();
    let slow = server
        .call("quick_initiate", json!({"millis": 5_000}))
        .await;
    assert_eq!(slow["status"], "working");
    assert_eq!(started.elapsed().as_secs(), 1);
    assert_eq!(server.finish("quick", slow.id()).await["result"], 5_000);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_on_one_task_are_all_answered() {
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 9_000})).await;
    let answers = join_all((0..1000).map(|_| {
        server.call(
            "nap_status",
            json!({"task_id": task.id(), "wait_seconds": 50}),
        )
    }))
    .await;
    assert!(answers.iter().all(|answer| answer["done"] == true));
}

#[tokio::test(start_paused = true)]
async fn one_waiter_too_many_is_answered_at_once() {
    let server = TestServer::start(builder().max_waiting_calls(1)).await;
    let task = server.call("nap_initiate", json!({"millis": 9_000})).await;
    let waiting = json!({"task_id": task.id(), "wait_seconds": 50});
    let (mut answers, started) = (Vec::new(), Instant::now());
    let mut calls: futures_util::stream::FuturesUnordered<_> = (0..2)
        .map(|_| server.call("nap_status", waiting.clone()))
        .collect();
    while let Some(answer) = futures_util::StreamExt::next(&mut calls).await {
        answers.push((answer["done"] == true, started.elapsed().as_secs()));
    }
    assert_eq!(
        answers,
        [(false, 0), (true, 8)].map(|(done, s)| (done, if done { 9 } else { s }))
    );
}
