//! Exactly one end for each task, and the right one.

use std::time::Duration;

use async_tool::testing::{Answer, TestServer};
use serde_json::{Value, json};
use tokio::time::{Instant, advance, sleep};

use crate::tools::{builder, start};

async fn end(server: &TestServer, tool: &str, arguments: Value) -> Answer {
    let task = server.call(&format!("{tool}_initiate"), arguments).await;
    server.finish(tool, task.id()).await
}

#[tokio::test(start_paused = true)]
async fn a_result_completes_the_task() {
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 3000})).await;
    assert!(!task.is_error);
    assert_eq!(task["status"], "working");
    assert_eq!(task["done"], false);
    assert_eq!(task["tool"], "nap");
    assert!(
        task["next"]
            .as_str()
            .is_some_and(|next| next.contains("nap_status"))
    );
    assert!(task["created_at"].is_string());

    let end = server.finish("nap", task.id()).await;
    assert_eq!(end["status"], "completed");
    assert_eq!(end["result"], json!({"millis": 3000}));
    assert_eq!(end["poll_after_seconds"], Value::Null);
    for time in ["created_at", "started_at", "finished_at", "expires_at"] {
        let text = end[time].as_str().unwrap_or_default();
        assert!(text.ends_with('Z') && text.len() == 24, "{time}: {text}");
    }
    let text: Value = serde_json::from_str(&end.text).expect("JSON");
    assert_eq!(text, end.structure, "text is the same");
    assert_eq!(end.text.len(), end.structure.to_string().len(), "compact");
    assert!(end.text.starts_with("{\"task_id\":"), "{}", end.text);
}

#[tokio::test(start_paused = true)]
async fn a_function_without_a_result_completes_without_one() {
    let server = start().await;
    let end = end(&server, "single", json!({"millis": 1})).await;
    assert_eq!(end["status"], "completed");
    assert!(end.structure.get("result").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_error_fails_the_task_with_its_message() {
    let server = start().await;
    let end = end(&server, "odd", json!({"how": "error"})).await;
    assert!(!end.is_error, "reading a failed task is a success");
    assert_eq!(end["status"], "failed");
    assert_eq!(
        end["error"],
        json!({"code": "tool_error", "message": "disk on fire", "retryable": false})
    );
    assert!(end.structure.get("result").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_tool_error_keeps_code_details_and_retryable_even_in_anyhow() {
    let server = start().await;
    for (how, message) in [
        ("quota", "no quota left"),
        ("anyhow", "while building: no quota left"),
    ] {
        let end = end(&server, "odd", json!({ "how": how })).await;
        assert_eq!(
            end["error"],
            json!({
                "code": "quota", "message": message, "retryable": true, "details": {"limit": 3}
            })
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_the_task_and_nothing_else() {
    let server = start().await;
    let end = end(&server, "odd", json!({"how": "panic"})).await;
    assert_eq!(end.error_code(), Some("panicked"));
    assert_eq!(end["error"]["message"], "the tool panicked: no such luck");
    let again = server.call("nap_initiate", json!({"millis": 1})).await;
    assert!(!again.is_error);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_panics_when_shown_fails_the_task_and_nothing_else() {
    let server = start().await;
    let end = end(&server, "odd", json!({"how": "rude"})).await;
    assert_eq!(end.error_code(), Some("panicked"));
    assert_eq!(
        end["error"]["message"],
        "the tool panicked: find out yourself"
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_11_an_error_is_kept_only_so_far() {
    let server = start().await;
    let end = end(&server, "odd", json!({"how": "wordy"})).await;
    assert_eq!(end["status"], "failed");
    assert!(end["error"].get("details").is_none());
    assert!(end.text.len() < 10_000, "{}", end.text.len());
}

#[tokio::test(start_paused = true)]
async fn results_that_cannot_be_kept_fail_the_task() {
    let server = start().await;
    for (how, code) in [
        ("huge", "result_too_large"),
        ("nan", "invalid_result"),
        ("bad_map", "invalid_result"),
    ] {
        let end = end(&server, "odd", json!({ "how": how })).await;
        assert_eq!(end.error_code(), Some(code), "{}", end.text);
    }
}

#[tokio::test(start_paused = true)]
async fn the_timeout_ends_an_attempt_and_says_which_clock() {
    let server = start().await;
    let started = Instant::now();
    let end = end(&server, "limited", json!({"millis": 60_000, "good": false})).await;
    assert_eq!(end.error_code(), Some("timed_out"));
    assert_eq!(end["error"]["details"], json!({"clock": "timeout"}));
    let took = started.elapsed();
    assert!(
        took >= Duration::from_secs(10) && took < Duration::from_secs(12),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_result_within_the_grace_counts() {
    let server = start().await;
    let end = end(&server, "limited", json!({"millis": 60_000, "good": true})).await;
    assert_eq!(end["status"], "completed");
    assert_eq!(end["result"], "after all");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_working_task() {
    let server = start().await;
    let arguments = json!({"millis": 60_000, "good": false, "max_wait_seconds": 3});
    let end = end(&server, "limited", arguments).await;
    assert_eq!(end.error_code(), Some("timed_out"));
    assert_eq!(end["error"]["details"], json!({"clock": "deadline"}));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_queued_task_that_never_ran() {
    let server = start().await;
    let first = server
        .call("single_initiate", json!({"millis": 50_000}))
        .await;
    let waiting = json!({"millis": 1, "max_wait_seconds": 5});
    let task = server.call("single_initiate", waiting).await;
    assert_eq!(task["status"], "queued");
    let started = Instant::now();
    let end = server.finish("single", task.id()).await;
    assert_eq!(end.error_code(), Some("timed_out"));
    assert_eq!(end["error"]["details"], json!({"clock": "deadline"}));
    assert!(end.structure.get("started_at").is_none());
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
    server.finish("single", first.id()).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_ends_a_cooperative_task_at_once() {
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 60_000})).await;
    let arguments = json!({"task_id": task.id(), "reason": "changed my mind"});
    let started = Instant::now();
    let answer = server.call("nap_cancel", arguments.clone()).await;
    assert_eq!(answer["status"], "cancelled");
    assert_eq!(answer["message"], "changed my mind");
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(answer.structure.get("error").is_none());

    let again = server.call("nap_cancel", arguments).await;
    assert!(!again.is_error, "cancelling twice is fine");
    assert_eq!(again["status"], "cancelled");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_of_a_stubborn_task_answers_and_ends_it_after_the_grace() {
    let server = start().await;
    let task = server
        .call(
            "nap_initiate",
            json!({"millis": 3_600_000, "stubborn": true}),
        )
        .await;
    let started = Instant::now();
    let answer = server
        .call("nap_cancel", json!({"task_id": task.id()}))
        .await;
    assert!(started.elapsed() <= Duration::from_millis(2100));
    if answer["done"] == false {
        assert_eq!(answer["cancel_requested"], true);
    }
    let end = server.finish("nap", task.id()).await;
    assert_eq!(end["status"], "cancelled");
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "the grace is 2 s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancel_of_a_queued_task_ends_it_and_it_never_runs() {
    let server = start().await;
    let first = server
        .call("single_initiate", json!({"millis": 5_000}))
        .await;
    let queued = server.call("single_initiate", json!({"millis": 1})).await;
    let answer = server
        .call("single_cancel", json!({"task_id": queued.id()}))
        .await;
    assert_eq!(answer["status"], "cancelled");
    assert_eq!(answer["done"], true);
    assert!(answer.structure.get("started_at").is_none());
    let end = server.finish("single", first.id()).await;
    assert_eq!(end["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn an_ended_task_is_readable_for_its_retention_and_then_gone() {
    let server = start().await;
    let task = server
        .call("limited_initiate", json!({"millis": 1, "good": true}))
        .await;
    server.finish("limited", task.id()).await;
    advance(Duration::from_secs(58)).await;
    let kept = server
        .call("limited_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(kept["status"], "completed");
    advance(Duration::from_secs(3)).await;
    let gone = server
        .call("limited_status", json!({"task_id": task.id()}))
        .await;
    assert!(gone.is_error);
    assert_eq!(gone.error_code(), Some("task_not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_blocks_a_thread_does_not_stop_the_others() {
    let server = TestServer::start(builder()).await;
    let task = server
        .call("block_initiate", json!({"millis": 5_000}))
        .await;
    let started = std::time::Instant::now();
    for _ in 0..20 {
        let answer = server
            .call("block_status", json!({"task_id": task.id()}))
            .await;
        assert_eq!(answer["status"], "working");
        let quick = server.call("nap_initiate", json!({"millis": 1})).await;
        assert_eq!(
            server.finish("nap", quick.id()).await["status"],
            "completed"
        );
    }
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "{:?}",
        started.elapsed()
    );

    // Ended for its caller although its body goes on.
    let cancelled = server
        .call("block_cancel", json!({"task_id": task.id()}))
        .await;
    assert_eq!(cancelled["status"], "cancelled", "{}", cancelled.text);
    sleep(Duration::from_millis(1)).await;
}
