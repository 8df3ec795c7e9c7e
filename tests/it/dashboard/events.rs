//! Tasks as they change.

use std::time::Duration;

use async_tool::MemoryStore;
use async_tool::dashboard::Dashboard;
use async_tool::testing::TestServer;
use axum::body::BodyDataStream;
use axum::http::StatusCode;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Site, get};
use crate::flaky::Flaky;
use crate::tools::{builder, start};

/// A stream, as a browser reads it.
struct Events {
    body: BodyDataStream,
    text: String,
}

impl Events {
    async fn open(site: &Site, path: &str) -> Self {
        let response = site.open(get(path)).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event that is no comment; none at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let found = event.lines().find_map(|line| line.strip_prefix(name));
                    found.map(|value| value.trim_start().to_owned())
                };
                let told = field("event:").zip(field("data:"));
                self.text = rest.to_owned();
                if let Some((name, data)) = told {
                    return Some((name, serde_json::from_str(&data).expect("JSON")));
                }
            }
            let bytes = self.body.next().await?.expect("it is not cut");
            self.text
                .push_str(std::str::from_utf8(&bytes).expect("it is text"));
        }
    }

    /// The next event of this name.
    async fn heard(&mut self, name: &str) -> Value {
        loop {
            let (heard, data) = self.next().await.expect("it goes on");
            if heard == name {
                return data;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_told_at_once_and_then_what_is_different() {
    let server = start().await;
    let old = server.call("nap_initiate", json!({"millis": 1})).await;
    server.finish("nap", old.id()).await;
    let site = Site::of(&server, Dashboard::new());
    let mut events = Events::open(&site, "/api/events").await;
    let (name, data) = events.next().await.expect("it begins");
    assert_eq!(name, "clock");
    assert!(data["now"].is_string(), "{data}");
    assert_eq!(events.next().await.expect("it goes on").0, "health");
    let first = events.heard("tasks").await;
    assert_eq!(first["active"], json!([]));
    assert_eq!(first["rows"][0]["task_id"], old.id());

    let nap = server.call("nap_initiate", json!({"millis": 5_000})).await;
    let second = events.heard("tasks").await;
    assert_eq!(second["active"], json!([nap.id()]));
    let rows = second["rows"].as_array().expect("a list");
    assert_eq!(rows.len(), 1, "the old one is as it was: {second}");
    assert_eq!(rows[0]["status"], "working");

    let last = events.heard("tasks").await;
    assert_eq!(last["active"], json!([]));
    assert_eq!(last["rows"][0]["status"], "completed", "{last}");
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_twice_a_second_at_most() {
    let server = start().await;
    let task = server.call("work_initiate", json!({"units": 20})).await;
    let site = Site::of(&server, Dashboard::new());
    for path in [
        "/api/events".to_owned(),
        format!("/api/tasks/{}/events", task.id()),
    ] {
        let name = if path.contains("tasks/") {
            "task"
        } else {
            "tasks"
        };
        let mut events = Events::open(&site, &path).await;
        let first = events.heard(name).await;
        let begun = Instant::now();
        let mut last = first;
        for _ in 0..6 {
            let next = events.heard(name).await;
            assert_ne!(next, last, "only what is different is told");
            last = next;
        }
        let took = begun.elapsed();
        assert!(took >= Duration::from_secs(3), "{took:?}");
        assert!(took <= Duration::from_secs(8), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_what_its_filter_admits() {
    let server = start().await;
    let site = Site::of(&server, Dashboard::new());
    let mut events = Events::open(&site, "/api/events?tool=nap&status=completed").await;
    let first = events.heard("tasks").await;
    assert_eq!(first["rows"], json!([]));
    let quick = server.call("quick_initiate", json!({"millis": 1})).await;
    assert_eq!(quick["status"], "completed");
    let failed = server.call("odd_initiate", json!({"how": "error"})).await;
    server.finish("odd", failed.id()).await;
    let nap = server.call("nap_initiate", json!({"millis": 1})).await;
    let told = events.heard("tasks").await;
    assert_eq!(told["rows"][0]["task_id"], nap.id());
    assert_eq!(told["rows"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told["active"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_created_long_ago_is_seen_to_end() {
    let server = start().await;
    let old = server.call("nap_initiate", json!({"millis": 60_000})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // More than a stream lists of those that have ended.
    for _ in 0..60 {
        server.call("quick_initiate", json!({"millis": 0})).await;
    }
    let site = Site::of(&server, Dashboard::new());
    let mut events = Events::open(&site, "/api/events").await;
    let first = events.heard("tasks").await;
    assert_eq!(first["active"], json!([old.id()]));
    assert!(first["next"].is_string(), "{first}");
    let mut told = first;
    while told["active"] != json!([]) {
        told = events.heard("tasks").await;
    }
    assert_eq!(told["rows"][0]["task_id"], old.id(), "{told}");
    assert_eq!(told["rows"][0]["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn changes_of_other_replicas_are_seen() {
    let store = MemoryStore::new();
    let here = TestServer::start(builder().store(store.clone()).slots(0)).await;
    let there = TestServer::start(builder().store(store)).await;
    let site = Site::of(&here, Dashboard::new());
    let mut events = Events::open(&site, "/api/events").await;
    events.heard("tasks").await;
    let nap = there.call("nap_initiate", json!({"millis": 2_000})).await;
    let told = events.heard("tasks").await;
    assert_eq!(told["active"], json!([nap.id()]));
    let told = events.heard("tasks").await;
    assert_eq!(told["rows"][0]["status"], "completed", "{told}");
}

#[tokio::test(start_paused = true)]
async fn streams_are_limited_and_given_back() {
    let server = start().await;
    let site = Site::of(&server, Dashboard::new().max_streams(2));
    let first = Events::open(&site, "/api/events").await;
    let mut second = Events::open(&site, "/api/events").await;
    let refused = site.get("/api/events").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.code(), "too_many_streams");
    assert_eq!(refused.header("retry-after"), "5");
    drop(first);
    Events::open(&site, "/api/events").await;
    second.heard("tasks").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_kept_alive_and_ends_after_a_while() {
    let server = start().await;
    let site = Site::of(&server, Dashboard::new());
    let mut events = Events::open(&site, "/api/events").await;
    events.heard("tasks").await;
    let begun = Instant::now();
    let comment = events
        .body
        .next()
        .await
        .expect("it goes on")
        .expect("it is not cut");
    assert!(comment.starts_with(b":"), "{comment:?}");
    assert_eq!(begun.elapsed().as_secs(), 15);
    assert_eq!(events.next().await, None, "nothing happens, and it ends");
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    assert!((14.9..15.1).contains(&minutes), "{minutes}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_server() {
    let server = start().await;
    let site = Site::of(&server, Dashboard::new());
    let mut events = Events::open(&site, "/api/events").await;
    events.heard("tasks").await;
    server.tools().shutdown().await;
    while let Some((name, _)) = events.next().await {
        assert_eq!(name, "health");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_said_once_and_its_return_too() {
    let store = Flaky::default();
    let server = TestServer::start(builder().store(store.clone())).await;
    let site = Site::of(&server, Dashboard::new());
    let mut events = Events::open(&site, "/api/events").await;
    events.heard("tasks").await;
    store.set_down(true);
    let trouble = events.heard("trouble").await;
    assert_eq!(trouble["code"], "store_unavailable");
    let down = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
    assert!(down.is_err(), "{down:?}");
    store.set_down(false);
    assert_eq!(events.next().await.expect("it goes on").0, "health");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_not_there_is_gone() {
    let server = start().await;
    let site = Site::of(&server, Dashboard::new());
    let path = "/api/tasks/00000000000040008000000000000000/events";
    let mut events = Events::open(&site, path).await;
    events.heard("gone").await;
}
