//! Alerts about tools that fail too often.

use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{Alert, AlertEvent};
use serde_json::json;
use tokio::sync::mpsc;

use super::scrape::Scraper;
use crate::tools::builder;

const ODD: &str = r#"tool="odd""#;

/// A server that tells its alerts.
async fn start(alert: Alert) -> (TestServer, mpsc::UnboundedReceiver<AlertEvent>) {
    let (told, alerts) = mpsc::unbounded_channel();
    let alert = alert.on_alert(move |event| told.send(event).expect("somebody listens"));
    (TestServer::start(builder().alert(alert)).await, alerts)
}

async fn fail(server: &TestServer, times: usize) {
    for _ in 0..times {
        let task = server.call("odd_initiate", json!({"how": "error"})).await;
        server.finish("odd", task.id()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_fails_too_often_gives_one_alert() {
    let scraper = Scraper::install();
    let (server, mut alerts) = start(Alert::new()).await;
    fail(&server, 19).await;
    assert!(alerts.try_recv().is_err(), "too few to tell");
    fail(&server, 6).await;
    let event = alerts.try_recv().expect("an alert");
    assert_eq!((&*event.tool, event.tasks), ("odd", 20));
    assert_eq!((event.failure_rate, event.limit), (1.0, 0.05));
    assert_eq!(event.window, Duration::from_secs(300));
    assert!(alerts.try_recv().is_err(), "it is known already");
    assert_eq!(scraper.value("alerts_total", &[ODD]), 1.0);
    assert_eq!(scraper.value("alert_active", &[ODD]), 1.0);
    assert_eq!(scraper.value("alert_active", &[r#"tool="nap""#]), 0.0);

    // Nothing happens, and that is noticed.
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!(scraper.value("alert_active", &[ODD]), 0.0);
    fail(&server, 20).await;
    assert!(alerts.try_recv().is_ok(), "the next crossing");
}

#[tokio::test(start_paused = true)]
async fn cancelled_tasks_are_no_failures() {
    let (server, mut alerts) = start(Alert::new().minimum(1)).await;
    for _ in 0..20 {
        let task = server.call("nap_initiate", json!({"millis": 60_000})).await;
        server
            .call("nap_cancel", json!({"task_id": task.id()}))
            .await;
    }
    assert!(alerts.try_recv().is_err());
}

#[tokio::test]
async fn an_alert_that_makes_no_sense_is_refused() {
    let built = builder()
        .alert(Alert::new().failure_rate(5.0))
        .build()
        .await;
    let error = built.expect_err("refused").to_string();
    assert!(error.contains("0.05"), "{error}");
}
