//! Circuit breakers: tools that have failed a lot are left alone for a while.

mod hanging;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_tool::testing::{Answer, TestServer};
use async_tool::{
    Alert, AsyncTools, AsyncToolsBuilder, Registry, TaskContext, ToolError, async_tool,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::sleep;

const COOL_DOWN: Duration = Duration::from_secs(30);

/// How to end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum How {
    Well,
    Error,
    Uncounted,
    Panic,
    Never,
}

/// End as told.
#[async_tool(
    circuit(failure_rate = 0.5, window = "1m", cool_down = "30s", minimum = 4),
    timeout = "10s",
    cancel_grace = "1s",
    interactive,
    on_interrupt = "retry",
    dedupe = "arguments"
)]
async fn shaky(
    how: How,
    /// After so many milliseconds.
    #[serde(default)]
    millis: u64,
    /// Ask first.
    #[serde(default)]
    ask: bool,
    /// Tells calls apart.
    #[serde(default)]
    number: usize,
    task: &TaskContext,
) -> Result<usize, ToolError> {
    if ask {
        task.ask::<Go>("Go on?").await?;
    }
    sleep(Duration::from_millis(millis)).await;
    match how {
        How::Well => Ok(number),
        How::Error => Err(ToolError::new("it is down").with_retryable(true)),
        How::Uncounted => Err(ToolError::new("no such thing").with_counted(false)),
        How::Panic => panic!("no such luck"),
        How::Never => std::future::pending().await,
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Go {
    #[expect(dead_code, reason = "a question needs a field")]
    on: bool,
}

/// Fail always, and be tried always.
#[async_tool]
async fn other() -> Result<(), ToolError> {
    Err(ToolError::new("as ever"))
}

fn builder() -> AsyncToolsBuilder {
    AsyncTools::builder()
        .registry(Registry::new().with(ShakyTool).with(OtherTool))
        .single_user()
}

async fn start() -> TestServer {
    TestServer::start(builder()).await
}

/// Starts one, whatever was started before.
async fn initiate(server: &TestServer, mut arguments: Value) -> Answer {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    if arguments.get("number").is_none() {
        arguments["number"] = NUMBER.fetch_add(1, Ordering::Relaxed).into();
    }
    server.call("shaky_initiate", arguments).await
}

/// Runs one to its end; its status.
async fn run(server: &TestServer, how: &str) -> Value {
    let task = initiate(server, json!({ "how": how })).await;
    assert!(!task.is_error, "{}", task.text);
    let end = server.finish("shaky", task.id()).await;
    end["status"].clone()
}

async fn open(server: &TestServer) {
    for _ in 0..4 {
        assert_eq!(run(server, "error").await, "failed");
    }
}

async fn status(server: &TestServer, task: &Answer) -> Value {
    let id = json!({ "task_id": task.id() });
    server.call("shaky_status", id).await["status"].clone()
}

fn refused_for(answer: &Answer) -> Option<u64> {
    let refused = answer.error_code() == Some("circuit_open");
    assert_eq!(refused, answer.is_error, "{}", answer.text);
    refused.then(|| {
        assert_eq!(answer["error"]["retryable"], true);
        let seconds = &answer["error"]["retry_after_seconds"];
        seconds.as_u64().expect("a whole number")
    })
}

/// Whether calls are refused, without leaving a task behind that counts.
async fn refuses(server: &TestServer) -> Option<u64> {
    let arguments = json!({ "how": "uncounted" });
    let answer = initiate(server, arguments).await;
    if !answer.is_error {
        server.finish("shaky", answer.id()).await;
    }
    refused_for(&answer)
}

#[tokio::test(start_paused = true)]
async fn it_opens_at_the_rate_and_says_when_to_come_back() {
    let server = start().await;
    for how in ["well", "well", "error", "well"] {
        run(&server, how).await;
    }
    assert_eq!(refuses(&server).await, None, "a quarter is not enough");
    run(&server, "error").await;
    assert_eq!(refuses(&server).await, None, "two of five are not enough");
    run(&server, "error").await;
    assert_eq!(refuses(&server).await, Some(30), "three of six are");
    sleep(Duration::from_millis(28_500)).await;
    // Whoever comes back when told to is not told to come back again.
    assert_eq!(refuses(&server).await, Some(2));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(refuses(&server).await, None);
}

#[tokio::test(start_paused = true)]
async fn of_few_attempts_nothing_is_concluded_and_old_ones_are_forgotten() {
    let server = start().await;
    for _ in 0..3 {
        run(&server, "error").await;
    }
    assert_eq!(refuses(&server).await, None);
    sleep(Duration::from_secs(61)).await;
    run(&server, "error").await;
    assert_eq!(refuses(&server).await, None);
}

#[tokio::test(start_paused = true)]
async fn panics_and_timeouts_count() {
    let server = start().await;
    for how in ["panic", "never", "panic", "never"] {
        assert_eq!(refuses(&server).await, None);
        run(&server, how).await;
    }
    assert_eq!(refuses(&server).await, Some(30));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_speak_against_the_tool_does_not_count() {
    let server = start().await;
    for _ in 0..8 {
        assert_eq!(run(&server, "uncounted").await, "failed");
        let cancelled = initiate(&server, json!({ "how": "never" })).await;
        let id = json!({ "task_id": cancelled.id() });
        let end = server.call("shaky_cancel", id).await;
        assert_eq!(end["status"], "cancelled", "{}", end.text);
        let late = json!({ "how": "never", "max_wait_seconds": 1 });
        let late = initiate(&server, late).await;
        let end = server.finish("shaky", late.id()).await;
        assert_eq!(end["error"]["details"]["clock"], "deadline", "{}", end.text);
    }
    // Nor for it: four failures are all of the attempts that count.
    open(&server).await;
    assert!(refuses(&server).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn other_tools_are_not_held_up() {
    let server = start().await;
    for _ in 0..8 {
        let task = server.call("other_initiate", json!({})).await;
        server.finish("other", task.id()).await;
    }
    open(&server).await;
    assert!(refuses(&server).await.is_some());
    let task = server.call("other_initiate", json!({})).await;
    assert!(!task.is_error, "{}", task.text);
}

#[tokio::test(start_paused = true)]
async fn what_exists_is_answered_all_the_same() {
    let server = start().await;
    let keyed = |key: &str| json!({ "how": "well", "number": 0, "idempotency_key": key });
    let done = initiate(&server, keyed("k")).await;
    server.finish("shaky", done.id()).await;
    let equal = json!({ "how": "never", "number": 0 });
    let running = initiate(&server, equal.clone()).await;
    for _ in 0..3 {
        run(&server, "error").await;
    }

    let replayed = initiate(&server, keyed("k")).await;
    assert_eq!(replayed["replayed"], true, "{}", replayed.text);
    assert_eq!(replayed.id(), done.id());
    let joined = initiate(&server, equal).await;
    assert_eq!(joined.id(), running.id(), "{}", joined.text);
    assert!(refused_for(&initiate(&server, keyed("new")).await).is_some());
}

#[tokio::test(start_paused = true)]
async fn queued_tasks_stay_queued_and_are_tried_one_by_one() {
    let server = TestServer::start(builder().slots(1)).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(initiate(&server, json!({ "how": "error", "millis": 1000 })).await);
    }
    for _ in 0..3 {
        tasks.push(initiate(&server, json!({ "how": "well", "millis": 1000 })).await);
    }
    server.finish("shaky", tasks[3].id()).await;
    sleep(COOL_DOWN - Duration::from_secs(1)).await;
    for task in &tasks[4..] {
        assert_eq!(status(&server, task).await, "queued");
    }
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(status(&server, &tasks[4]).await, "working");
    assert_eq!(status(&server, &tasks[5]).await, "queued");
    for task in &tasks[4..] {
        let end = server.finish("shaky", task.id()).await;
        assert_eq!(end["status"], "completed", "{}", end.text);
    }
}

#[tokio::test(start_paused = true)]
async fn one_probe_is_let_through_at_a_time() {
    let server = start().await;
    open(&server).await;
    sleep(COOL_DOWN).await;
    let probe = initiate(&server, json!({ "how": "well", "millis": 5000 })).await;
    assert_eq!(probe["status"], "working", "{}", probe.text);
    for _ in 0..3 {
        assert!(refuses(&server).await.is_some(), "it is not known yet");
    }
    let end = server.finish("shaky", probe.id()).await;
    assert_eq!(end["status"], "completed");
    // What was before is forgotten.
    for _ in 0..3 {
        run(&server, "error").await;
    }
    assert_eq!(refuses(&server).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_opens_it_again() {
    let server = start().await;
    open(&server).await;
    for _ in 0..3 {
        sleep(COOL_DOWN).await;
        assert_eq!(run(&server, "error").await, "failed");
        assert_eq!(refuses(&server).await, Some(30));
    }
    sleep(COOL_DOWN).await;
    assert_eq!(run(&server, "well").await, "completed");
    assert_eq!(run(&server, "error").await, "failed");
    assert_eq!(refuses(&server).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_tells_nothing_lets_another_follow() {
    let server = TestServer::start(builder().slots(2)).await;
    // What was begun before it opened is no probe.
    let earlier = initiate(&server, json!({ "how": "well", "millis": 4000 })).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(initiate(&server, json!({ "how": "error", "millis": 10 })).await);
    }
    for _ in 0..2 {
        tasks.push(initiate(&server, json!({ "how": "never" })).await);
    }
    tasks.push(initiate(&server, json!({ "how": "well", "millis": 10 })).await);
    server.finish("shaky", tasks[3].id()).await;
    assert_eq!(
        server.finish("shaky", earlier.id()).await["status"],
        "completed"
    );
    assert!(refuses(&server).await.is_some(), "it is still open");

    sleep(COOL_DOWN).await;
    for cancelled in &tasks[4..6] {
        assert_eq!(status(&server, cancelled).await, "working");
        assert_eq!(status(&server, &tasks[6]).await, "queued");
        let id = json!({ "task_id": cancelled.id() });
        let end = server.call("shaky_cancel", id).await;
        assert_eq!(end["status"], "cancelled", "{}", end.text);
    }
    let end = server.finish("shaky", tasks[6].id()).await;
    assert_eq!(end["status"], "completed", "{}", end.text);
    assert_eq!(refuses(&server).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_waits_for_an_answer_does_not_hold_up_the_next() {
    let server = start().await;
    open(&server).await;
    sleep(COOL_DOWN).await;
    let asking = initiate(&server, json!({ "how": "error", "ask": true })).await;
    let id = json!({ "task_id": asking.id(), "wait_seconds": 5 });
    let asked = server.call("shaky_status", id).await;
    assert_eq!(asked["status"], "input_required", "{}", asked.text);
    assert_eq!(run(&server, "well").await, "completed");
    // It was let through by a breaker that has closed since.
    let answer = json!({
        "task_id": asking.id(), "key": asked["questions"][0]["key"],
        "action": "accept", "content": { "on": true },
    });
    server.call("shaky_respond", answer).await;
    let end = server.finish("shaky", asking.id()).await;
    assert_eq!(end["status"], "failed", "{}", end.text);
    assert_eq!(refuses(&server).await, None);
}

#[tokio::test(start_paused = true)]
async fn each_worker_has_a_breaker_of_its_own() {
    let store = async_tool::MemoryStore::new();
    let server = TestServer::start(builder().store(store.clone())).await;
    open(&server).await;
    assert!(refuses(&server).await.is_some());
    let second = TestServer::start(builder().store(store)).await;
    assert_eq!(run(&second, "well").await, "completed");
    assert!(refuses(&server).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn health_tells_of_breakers_that_are_not_closed() {
    let server = start().await;
    let circuits = async || {
        let health = server.tools().health().await;
        assert!(health.is_ready());
        serde_json::to_value(health).expect("JSON")["circuits"].take()
    };
    assert_eq!(circuits().await, json!([]));
    open(&server).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(
        circuits().await,
        json!([{ "tool": "shaky", "state": "open", "open_for_seconds": 20.0 }])
    );
    sleep(Duration::from_secs(20)).await;
    assert_eq!(
        circuits().await,
        json!([{ "tool": "shaky", "state": "half_open" }])
    );
    run(&server, "well").await;
    assert_eq!(circuits().await, json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_metric_tells_the_state() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = metrics::set_default_local_recorder(&recorder);
    let server = start().await;
    let state = || {
        let scraped = recorder.handle().render();
        let mut lines = scraped.lines();
        let name = "mcp_async_circuit_state{tool=\"shaky\"} ";
        let found = lines.find_map(|line| line.strip_prefix(name).map(str::to_owned));
        assert!(!scraped.contains("mcp_async_circuit_state{tool=\"other\"}"));
        found.expect("it is told from the start")
    };
    assert_eq!(state(), "0");
    open(&server).await;
    assert_eq!(state(), "2");
    sleep(COOL_DOWN + Duration::from_millis(1)).await;
    assert_eq!(state(), "1");
    run(&server, "well").await;
    assert_eq!(state(), "0");
}

#[tokio::test(start_paused = true)]
async fn errors_that_do_not_count_raise_no_alert() {
    let alerts = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&alerts);
    let alert = Alert::new().on_alert(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
    });
    let server = TestServer::start(builder().alert(alert)).await;
    for _ in 0..100 {
        run(&server, "uncounted").await;
    }
    assert_eq!(alerts.load(Ordering::SeqCst), 0);
    for _ in 0..100 {
        let task = server.call("other_initiate", json!({})).await;
        server.finish("other", task.id()).await;
    }
    assert_eq!(alerts.load(Ordering::SeqCst), 1);
}
