//! Probes that take too long, of a tool without a timeout.

use std::time::Duration;

use async_tool::testing::{Answer, TestServer};
use async_tool::{AsyncTools, Registry, ToolError, async_tool};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{COOL_DOWN, How};

const MOMENT: Duration = Duration::from_millis(100);

/// End as told, or never.
#[async_tool(
    circuit(failure_rate = 0.5, window = "1m", cool_down = "30s", minimum = 2),
    cancel_grace = "20s"
)]
async fn endless(
    how: How,
    /// After so many seconds.
    #[serde(default)]
    seconds: u64,
) -> Result<(), ToolError> {
    sleep(Duration::from_secs(seconds)).await;
    match how {
        How::Well => Ok(()),
        How::Never => std::future::pending().await,
        _ => Err(ToolError::new("it is down")),
    }
}

async fn initiate(server: &TestServer, arguments: Value) -> Answer {
    server.call("endless_initiate", arguments).await
}

async fn run(server: &TestServer, arguments: Value) {
    let task = initiate(server, arguments).await;
    server.finish("endless", task.id()).await;
}

async fn status(server: &TestServer, task: &Answer) -> Value {
    let id = json!({ "task_id": task.id() });
    server.call("endless_status", id).await["status"].clone()
}

async fn start(slots: usize) -> TestServer {
    let registry = Registry::new().with(EndlessTool);
    let builder = AsyncTools::builder().registry(registry).single_user();
    TestServer::start(builder.slots(slots)).await
}

/// One whose breaker has become half-open.
async fn half_open() -> TestServer {
    let server = start(4).await;
    for _ in 0..2 {
        run(&server, json!({ "how": "error" })).await;
    }
    sleep(COOL_DOWN).await;
    server
}

async fn circuits(server: &TestServer) -> Value {
    let health = server.tools().health().await;
    serde_json::to_value(health).expect("JSON")["circuits"].take()
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_lets_another_follow() {
    let server = half_open().await;
    let hanging = initiate(&server, json!({ "how": "never" })).await;
    assert_eq!(hanging["status"], "working", "{}", hanging.text);
    sleep(COOL_DOWN - MOMENT).await;
    let refused = initiate(&server, json!({ "how": "well" })).await;
    assert_eq!(refused.error_code(), Some("circuit_open"));
    sleep(2 * MOMENT).await;
    // One, and no more.
    let second = initiate(&server, json!({ "how": "well", "seconds": 1 })).await;
    assert_eq!(second["status"], "working", "{}", second.text);
    let refused = initiate(&server, json!({ "how": "well" })).await;
    assert_eq!(refused.error_code(), Some("circuit_open"));
    server.finish("endless", second.id()).await;
    assert_eq!(circuits(&server).await, json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_until_its_deadline_has_failed() {
    let server = half_open().await;
    // A deadline that comes sooner says nothing, even if its end comes later.
    run(&server, json!({ "how": "never", "max_wait_seconds": 20 })).await;
    let state = |circuits: Value| circuits[0]["state"].clone();
    assert_eq!(state(circuits(&server).await), "half_open");
    run(&server, json!({ "how": "never", "max_wait_seconds": 40 })).await;
    assert_eq!(state(circuits(&server).await), "open");
}

#[tokio::test(start_paused = true)]
async fn a_queued_task_is_tried_beside_a_probe_that_hangs() {
    let server = start(2).await;
    run(&server, json!({ "how": "error" })).await;
    let last = initiate(&server, json!({ "how": "error", "seconds": 1 })).await;
    // Has the other slot until it is open.
    initiate(&server, json!({ "how": "well", "seconds": 2 })).await;
    let hanging = initiate(&server, json!({ "how": "never" })).await;
    let queued = initiate(&server, json!({ "how": "well", "seconds": 1 })).await;
    server.finish("endless", last.id()).await;
    sleep(COOL_DOWN + MOMENT).await;
    assert_eq!(status(&server, &hanging).await, "working");
    sleep(COOL_DOWN - 2 * MOMENT).await;
    assert_eq!(status(&server, &queued).await, "queued");
    sleep(2 * MOMENT).await;
    assert_eq!(status(&server, &queued).await, "working");
    let end = server.finish("endless", queued.id()).await;
    assert_eq!(end["status"], "completed", "{}", end.text);
    assert_eq!(circuits(&server).await, json!([]));
}
