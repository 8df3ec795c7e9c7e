//! What is counted and measured.

use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, MemoryStore, Principal, Registry, ToolError, async_tool};
use serde_json::json;
use tokio::time::sleep;

use super::scrape::Scraper;
use crate::flaky::Flaky;
use crate::tools::{builder, start};

/// Succeeds with its second attempt.
#[async_tool(retry(attempts = 2, backoff = "1s"), concurrency = 1)]
async fn second(task: &async_tool::TaskContext) -> Result<(), ToolError> {
    match task.attempt() {
        1 => Err(ToolError::new("not yet").with_retryable(true)),
        _ => Ok(()),
    }
}

/// May be started again.
#[async_tool(on_interrupt = "retry")]
async fn again(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

/// May not.
#[async_tool]
async fn once(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn the_life_of_a_task_is_counted_and_measured() {
    let scraper = Scraper::install();
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 5000})).await;
    server.finish("nap", task.id()).await;
    let nap = r#"tool="nap""#;
    for (name, expected) in [
        ("tasks_initiated_total", 1.0),
        ("attempts_started_total", 1.0),
        ("initiate_duration_seconds_count", 1.0),
        ("queue_wait_seconds_count", 1.0),
        ("queue_wait_seconds_sum", 0.0),
        ("attempt_duration_seconds_count", 1.0),
        ("attempt_duration_seconds_sum", 5.0),
    ] {
        assert_eq!(scraper.value(name, &[nap]), expected, "{name}");
    }
    let completed = [nap, r#"outcome="completed""#];
    assert_eq!(scraper.value("tasks_ended_total", &completed), 1.0);
    let took = scraper.value("task_duration_seconds_sum", &completed);
    assert!((5.0..5.1).contains(&took), "{took} s");
    let reads = [nap, r#"early="false""#];
    assert_eq!(scraper.value("status_calls_total", &reads), 1.0);
    for verb in ["create", "finish", "get"] {
        let verb = format!(r#"verb="{verb}""#);
        let calls = [&*verb, r#"outcome="ok""#];
        let calls = scraper.value("store_call_duration_seconds_count", &calls);
        assert!(calls >= 1.0, "{verb}");
    }
}

#[tokio::test(start_paused = true)]
async fn ends_are_counted_by_outcome_and_code() {
    let scraper = Scraper::install();
    let server = start().await;
    for how in ["panic", "quota", "error", "huge", "nan"] {
        let task = server.call("odd_initiate", json!({"how": how})).await;
        server.finish("odd", task.id()).await;
    }
    let late = json!({"millis": 60_000, "good": false});
    let task = server.call("limited_initiate", late).await;
    server.finish("limited", task.id()).await;
    let task = server.call("nap_initiate", json!({"millis": 60_000})).await;
    server
        .call("nap_cancel", json!({"task_id": task.id()}))
        .await;

    for (tool, code, expected) in [
        ("odd", "panicked", 1.0),
        // An author's own code is not a label.
        ("odd", "tool_error", 2.0),
        ("odd", "result_too_large", 1.0),
        ("odd", "invalid_result", 1.0),
        ("odd", "timed_out", 0.0),
        ("limited", "timed_out", 1.0),
    ] {
        let labels = [
            &*format!(r#"tool="{tool}""#),
            r#"outcome="failed""#,
            &*format!(r#"code="{code}""#),
        ];
        let ended = scraper.value("tasks_ended_total", &labels);
        assert_eq!(ended, expected, "{tool} {code}");
    }
    let cancelled = [r#"tool="nap""#, r#"outcome="cancelled""#];
    assert_eq!(scraper.value("tasks_ended_total", &cancelled), 1.0);
    assert!(!scraper.text().contains("quota"), "{}", scraper.text());
}

#[tokio::test(start_paused = true)]
async fn what_ends_in_the_queue_is_counted_once() {
    let scraper = Scraper::install();
    let server = TestServer::start(builder().slots(0)).await;
    let cancelled = server.call("nap_initiate", json!({"millis": 1})).await;
    let id = json!({"task_id": cancelled.id()});
    server.call("nap_cancel", id.clone()).await;
    server.call("nap_cancel", id).await;
    let arguments = json!({"millis": 1, "max_wait_seconds": 3});
    let late = server.call("nap_initiate", arguments).await;
    let end = server.finish("nap", late.id()).await;
    assert_eq!(end.error_code(), Some("timed_out"), "{}", end.text);
    sleep(Duration::from_millis(1)).await;
    let nap = r#"tool="nap""#;
    for label in [r#"outcome="cancelled""#, r#"code="timed_out""#] {
        let ended = scraper.value("tasks_ended_total", &[nap, label]);
        assert_eq!(ended, 1.0, "{label}");
    }
    let took = [nap, r#"outcome="failed""#];
    let took = scraper.value("task_duration_seconds_sum", &took);
    assert!((3.0..8.5).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn refusals_and_replays_are_counted() {
    let scraper = Scraper::install();
    let server = TestServer::start(builder().slots(0)).await;
    let nap = r#"tool="nap""#;
    for _ in 0..3 {
        let arguments = json!({"millis": 1, "idempotency_key": "k"});
        server.call("nap_initiate", arguments).await;
    }
    assert_eq!(scraper.value("tasks_initiated_total", &[nap]), 1.0);
    assert_eq!(scraper.value("replays_total", &[nap]), 2.0);
    let other = json!({"millis": 2, "idempotency_key": "k"});
    server.call("nap_initiate", other).await;
    server.call("nap_initiate", json!({"millis": "1"})).await;
    server.call("nap_status", json!({"task_id": "none"})).await;
    for _ in 0..2 {
        server.call("single_initiate", json!({"millis": 1})).await;
    }
    for (tool, code) in [
        ("nap", "idempotency_conflict"),
        ("nap", "invalid_arguments"),
        ("nap", "task_not_found"),
        ("single", "overloaded"),
    ] {
        let labels = [format!(r#"tool="{tool}""#), format!(r#"code="{code}""#)];
        let refused = scraper.value("calls_refused_total", &[&*labels[0], &*labels[1]]);
        assert_eq!(refused, 1.0, "{tool} {code}");
    }
    assert_eq!(
        scraper.value("initiate_duration_seconds_count", &[nap]),
        1.0
    );
}

#[tokio::test(start_paused = true)]
async fn another_attempt_is_counted_with_its_cause() {
    let scraper = Scraper::install();
    let registry = Registry::new().with(SecondTool);
    let server = TestServer::start(AsyncTools::builder().registry(registry)).await;
    let task = server.call("second_initiate", json!({})).await;
    server.finish("second", task.id()).await;
    let second = r#"tool="second""#;
    assert_eq!(scraper.value("attempts_started_total", &[second]), 2.0);
    assert_eq!(scraper.value("queue_wait_seconds_count", &[second]), 1.0);
    let retried = [second, r#"cause="retry""#];
    assert_eq!(scraper.value("requeues_total", &retried), 1.0);
    let completed = [second, r#"outcome="completed""#];
    assert_eq!(scraper.value("tasks_ended_total", &completed), 1.0);
}

#[tokio::test(start_paused = true)]
async fn what_dead_workers_leave_is_counted_by_whoever_takes_it_over() {
    let store = MemoryStore::new();
    let replica = || {
        AsyncTools::builder()
            .registry(Registry::new().with(AgainTool).with(OnceTool))
            .store(store.clone())
    };
    let dead = TestServer::start(replica()).await;
    let arguments = json!({"seconds": 600});
    let again = dead.call("again_initiate", arguments.clone()).await;
    dead.call("once_initiate", arguments).await;
    drop(dead);

    let scraper = Scraper::install();
    let server = TestServer::start(replica()).await;
    server.finish("again", again.id()).await;
    for (tool, outcome) in [("again", "requeued"), ("once", "interrupted")] {
        let labels = [
            format!(r#"tool="{tool}""#),
            format!(r#"outcome="{outcome}""#),
        ];
        let taken = scraper.value("takeovers_total", &[&*labels[0], &*labels[1]]);
        assert_eq!(taken, 1.0, "{tool}");
    }
    let interrupted = [r#"tool="once""#, r#"code="interrupted""#];
    assert_eq!(scraper.value("tasks_ended_total", &interrupted), 1.0);
}

#[tokio::test(start_paused = true)]
async fn what_a_store_cannot_do_is_measured_as_an_error() {
    let scraper = Scraper::install();
    let flaky = Flaky::new(MemoryStore::new());
    let server = TestServer::start(builder().store(flaky.clone())).await;
    flaky.set_down(true);
    let refused = server.call("nap_initiate", json!({"millis": 1})).await;
    assert_eq!(refused.error_code(), Some("store_unavailable"));
    let create = r#"verb="create""#;
    for (outcome, expected) in [("error", 1.0), ("ok", 0.0)] {
        let outcome = format!(r#"outcome="{outcome}""#);
        let labels = [create, &*outcome];
        let calls = scraper.value("store_call_duration_seconds_count", &labels);
        assert_eq!(calls, expected, "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_callers_choose_is_in_the_metrics() {
    let scraper = Scraper::install();
    let builder = builder()
        .namespace("namespace-x")
        .principal(|_| Some(Principal::new("alice")))
        .require_principal();
    let server = TestServer::start(builder).await;
    let arguments = json!({"millis": 4711, "idempotency_key": "key-x"});
    let task = server.call("nap_initiate", arguments).await;
    server.finish("nap", task.id()).await;
    let text = scraper.text();
    for secret in [task.id(), "alice", "key-x", "4711", "namespace-x"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_metrics_are_described_and_begin_with_the_prefix() {
    let scraper = Scraper::install();
    let server = TestServer::start(builder().metrics_prefix("acme_jobs")).await;
    let task = server.call("nap_initiate", json!({"millis": 1})).await;
    server.finish("nap", task.id()).await;
    let text = scraper.text();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(names.len() >= 12, "{text}");
    for name in names {
        assert!(name.starts_with("acme_jobs_"), "{name}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
}

#[tokio::test]
async fn a_prefix_that_cannot_begin_a_name_is_refused() {
    let built = builder().metrics_prefix("acme jobs").build().await;
    let error = built.expect_err("refused").to_string();
    assert!(
        error.contains("acme jobs") && error.contains(".metrics_prefix"),
        "{error}"
    );
}
