//! What a server says of how it is.

use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{Health, LeaseState, MemoryStore};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::flaky::Flaky;
use crate::tools::builder;

fn as_json(health: &Health) -> serde_json::Value {
    serde_json::to_value(health).expect("JSON")
}

#[tokio::test(start_paused = true)]
async fn an_idle_server_is_well() {
    let server = TestServer::start(builder().slots(7)).await;
    let health = server.tools().health().await;
    assert!(health.is_ready() && health.is_live());
    assert_eq!(
        as_json(&health),
        json!({
            "ready": true, "live": true, "draining": false,
            "store": { "reachable": true, "latency_seconds": 0.0 },
            "lease": { "state": "none", "lasts_seconds": 15.0 },
            "running": 0, "slots": 7,
            "queue": { "tasks": 0, "tools": [] },
            "pending_notices": 0,
            "circuits": [],
        })
    );
}

#[tokio::test(start_paused = true)]
async fn what_runs_and_what_waits_is_told() {
    let server = TestServer::start(builder().slots(1)).await;
    server
        .call("nap_initiate", json!({ "millis": 60_000 }))
        .await;
    for tool in ["nap_initiate", "single_initiate", "nap_initiate"] {
        server.call(tool, json!({ "millis": 1 })).await;
        sleep(Duration::from_secs(10)).await;
    }
    let health = server.tools().health().await;
    assert!(health.is_ready());
    assert_eq!(health.running, 1);
    assert_eq!(health.lease.state, LeaseState::Held);
    assert!(
        health
            .lease
            .renewed
            .is_some_and(|ago| ago <= health.lease.lasts / 2)
    );
    let queue = health.queue.as_ref().expect("it can be reached");
    assert_eq!(queue.tasks, 3);
    assert_eq!(queue.oldest.map(|oldest| oldest.as_secs()), Some(30));
    let tools: Vec<_> = queue
        .tools
        .iter()
        .map(|queue| (&*queue.tool, queue.tasks, queue.oldest.as_secs()))
        .collect();
    assert_eq!(tools, [("nap", 2, 30), ("single", 1, 20)]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_reached_is_told_without_its_secrets() {
    let store = Flaky::new(MemoryStore::new());
    let server = TestServer::start(builder().store(store.clone())).await;
    server
        .call("nap_initiate", json!({ "millis": 60_000 }))
        .await;
    store.set_down(true);
    let health = server.tools().health().await;
    assert!(!health.is_ready());
    assert!(health.is_live(), "to start it again would help nobody");
    assert!(!health.store.reachable);
    let json = as_json(&health).to_string();
    assert!(json.contains("cannot be reached"), "{json}");
    assert!(!json.contains("secret-host"), "{json}");
    assert_eq!(health.queue, None);

    sleep(Duration::from_secs(16)).await;
    store.set_down(false);
    let health = server.tools().health().await;
    assert!(health.store.reachable, "it is looked at again");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lost_a_lease_is_ready_when_what_ran_has_stopped() {
    let store = Flaky::new(MemoryStore::new());
    let server = TestServer::start(builder().store(store.clone())).await;
    let stubborn = json!({ "millis": 3_600_000, "stubborn": true });
    server.call("nap_initiate", stubborn).await;
    store.set_hanging(true);
    let mut states = Vec::new();
    for _ in 0..40 {
        sleep(Duration::from_millis(500)).await;
        let health = server.tools().health().await;
        assert_eq!(health.is_ready(), health.lease.state != LeaseState::Lost);
        if states.last() != Some(&health.lease.state) {
            states.push(health.lease.state);
        }
    }
    // What could not be kept has been stopped.
    assert!(
        states == [LeaseState::Held, LeaseState::None]
            || states == [LeaseState::Held, LeaseState::Lost, LeaseState::None],
        "{states:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_store_is_asked_once_a_second_and_given_up_in_time() {
    let store = Flaky::new(MemoryStore::new());
    let server = TestServer::start(builder().store(store.clone())).await;
    let tools = server.tools();
    tools.health().await;
    // The server asks for its metrics too, at first and then after five seconds.
    store.take_stats();
    for _ in 0..20 {
        tools.health().await;
    }
    assert_eq!(store.take_stats(), 0);
    sleep(Duration::from_secs(1)).await;
    futures_util::future::join_all((0..20).map(|_| tools.health())).await;
    assert_eq!(store.take_stats(), 1);

    store.set_mute(true);
    sleep(Duration::from_secs(1)).await;
    let asked = Instant::now();
    let impatient = tokio::time::timeout(Duration::from_millis(100), tools.health()).await;
    assert!(impatient.is_err());
    let answers = futures_util::future::join_all((0..20).map(|_| tools.health())).await;
    assert_eq!(asked.elapsed(), Duration::from_secs(2));
    for health in answers {
        assert!(!health.is_ready());
        assert_eq!(
            health.store.error,
            Some("the task store did not answer in time")
        );
    }
    assert_eq!(store.take_stats(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_shuts_down_is_not_ready_and_then_over() {
    let server = TestServer::start(builder()).await;
    server.call("nap_initiate", json!({ "millis": 5000 })).await;
    let tools = server.tools().clone();
    let shutdown = tokio::spawn(async move { tools.shutdown().await });
    sleep(Duration::from_secs(1)).await;
    let health = server.tools().health().await;
    assert!(health.draining && !health.is_ready() && health.is_live());
    shutdown.await.expect("no panic");
    let health = server.tools().health().await;
    assert!(!health.is_live());
}
