//! Tools and callers that do their worst.

use std::collections::HashMap;
use std::time::Duration;

use async_tool::testing::{Answer, TestServer};
use async_tool::{AsyncTool, AsyncTools, BoxError, Call, Descriptor, Registry, async_tool};
use rmcp::model::CallToolRequestParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::tools::builder;

const LONG: Duration = Duration::from_secs(1000);

async fn server(tool: impl AsyncTool) -> TestServer {
    let registry = Registry::new().with(tool);
    TestServer::start(AsyncTools::builder().slots(1).registry(registry)).await
}

async fn end(server: &TestServer, tool: &str, arguments: Value) -> Answer {
    let task = server.call(&format!("{tool}_initiate"), arguments).await;
    assert!(!task.is_error, "{}", task.text);
    server.finish(tool, task.id()).await
}

/// Panics when it is made of the wrong word.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(from = "String")]
struct Fussy(String);

impl From<String> for Fussy {
    fn from(text: String) -> Self {
        assert!(text != "boom", "cannot stand this word");
        Self(text)
    }
}

/// Take an argument whose reading may panic.
#[async_tool]
async fn fussy(word: Fussy) -> String {
    word.0
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_reading_arguments_is_answered() {
    let server = server(FussyTool).await;
    let call = server.call("fussy_initiate", json!({"word": "boom"}));
    let answer = timeout(LONG, call).await.expect("answered");
    assert_eq!(answer.error_code(), Some("internal"));
    let fine = end(&server, "fussy", json!({"word": "fine"})).await;
    assert_eq!(fine["result"], "fine");
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_finding_the_principal_is_answered() {
    let server = TestServer::start(builder().principal(|_| panic!("no idea"))).await;
    let call = server.call("nap_initiate", json!({"millis": 1}));
    let answer = timeout(LONG, call).await.expect("answered");
    assert_eq!(answer.error_code(), Some("internal"));
}

/// Panics when it is dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped");
    }
}

/// Panic while being dropped.
#[async_tool(cancel_grace = "1s", timeout = "5s")]
async fn grenade(millis: u64) -> u64 {
    let _grenade = Grenade;
    tokio::time::sleep(Duration::from_millis(millis)).await;
    millis
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_drop_ends_the_task_and_nothing_else() {
    let server = server(GrenadeTool).await;
    for (millis, code) in [(1, "panicked"), (60_000, "timed_out"), (1, "panicked")] {
        let end = end(&server, "grenade", json!({ "millis": millis })).await;
        assert_eq!(end.error_code(), Some(code));
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum Tagged {
    One { left: u8 },
    Two(HashMap<String, u8>),
    Three,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Flat {
    #[serde(flatten)]
    rest: HashMap<String, Value>,
    own: Option<u8>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Tree {
    name: String,
    children: Vec<Tree>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Unit;

/// Named as things of the framework are.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Snapshot {
    error: String,
    task_id: u8,
    status: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Everything {
    tagged: Vec<Tagged>,
    flat: Flat,
    tree: Tree,
    unit: Unit,
    snapshot: Snapshot,
    tuple: (u8, String, Option<bool>),
    big: u64,
    small: i64,
    float: f32,
    character: char,
    duration: Duration,
    map: HashMap<u32, Vec<(i8, i8)>>,
}

/// Give back what it gets.
#[async_tool]
async fn echo(everything: Everything) -> Everything {
    everything
}

#[tokio::test(start_paused = true)]
async fn odd_types_go_in_and_come_out() {
    let server = server(EchoTool).await;
    let everything = json!({
        "tagged": [{"kind": "One", "left": 1}, {"kind": "Two", "x": 3}, {"kind": "Three"}],
        "flat": {"a": [1], "own": null},
        "tree": {"name": "root", "children": [{"name": "leaf", "children": []}]},
        "unit": null,
        "snapshot": {"error": "e", "task_id": 1, "status": true},
        "tuple": [1, "x", null],
        "big": u64::MAX,
        "small": i64::MIN,
        "float": 0.5,
        "character": "é",
        "duration": {"secs": 1, "nanos": 5},
        "map": {"7": [[1, -1]]},
    });
    let end = end(&server, "echo", json!({ "everything": everything })).await;
    assert_eq!(end["result"], everything);
}

/// Nest a value.
#[async_tool]
async fn deep(depth: usize) -> Value {
    (0..depth).fold(json!(1), |value, _| json!([value]))
}

#[tokio::test(start_paused = true)]
async fn a_result_that_clients_could_not_read_is_no_result() {
    let server = server(DeepTool).await;
    for (depth, code) in [
        (100, None),
        (101, Some("invalid_result")),
        (126, Some("invalid_result")),
    ] {
        let task = server
            .call("deep_initiate", json!({ "depth": depth }))
            .await;
        let end = timeout(LONG, server.finish("deep", task.id())).await;
        assert_eq!(end.expect("answered").error_code(), code, "{depth}");
    }
}

/// A tool without any limit that could be counted.
struct EndlessTool;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nothing {}

impl AsyncTool for EndlessTool {
    type Input = Nothing;
    type Output = u8;

    fn descriptor(&self) -> &'static Descriptor {
        static ENDLESS: Descriptor = Descriptor::new("endless")
            .timeout(Duration::MAX)
            .max_wait(Duration::MAX)
            .retention(Duration::MAX)
            .inline(Duration::MAX)
            .cancel_grace(Duration::MAX);
        &ENDLESS
    }

    async fn run(&self, _: Nothing, _: Call<'_>) -> Result<u8, BoxError> {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(1)
    }
}

#[tokio::test(start_paused = true)]
async fn times_that_no_clock_can_count_are_as_good_as_never() {
    let server = TestServer::start(
        AsyncTools::builder()
            .registry(Registry::new().with(EndlessTool))
            .max_age(Duration::MAX)
            .retention(Duration::MAX)
            .lease(Duration::MAX)
            .drain(Duration::MAX)
            .max_wait_per_call(Duration::MAX),
    )
    .await;
    let call = server.call("endless_initiate", json!({}));
    let task = timeout(LONG, call).await.expect("answered");
    assert_eq!(task["result"], 1, "{}", task.text);
    assert_eq!(task["expires_at"], "9999-12-31T23:59:59.999Z");
}

#[tokio::test(start_paused = true)]
async fn ends_that_coincide_give_one_end() {
    for round in 0..6 {
        let server = TestServer::start(builder().drain(Duration::ZERO)).await;
        // Result, timeout, deadline, cancel and shutdown in one instant.
        let arguments = json!({
            "millis": 10_000, "good": round % 2 == 0, "max_wait_seconds": 10,
        });
        let task = server.call("limited_initiate", arguments).await;
        let id = json!({"task_id": task.id()});
        tokio::time::sleep(Duration::from_secs(10)).await;
        let shutdown = async {
            if round > 2 {
                server.tools().shutdown().await;
            }
        };
        tokio::join!(server.call("limited_cancel", id.clone()), shutdown);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let first = server.call("limited_status", id.clone()).await;
        assert_eq!(first["done"], true, "{}", first.text);
        let second = server.call("limited_status", id).await;
        assert_eq!(first.structure, second.structure, "invariant 4");
    }
}

#[tokio::test(start_paused = true)]
async fn an_initiate_whose_caller_is_gone_runs_once() {
    let runs = crate::tools::SharedRuns::default();
    let server = TestServer::start(
        AsyncTools::builder()
            .registry(crate::tools::all())
            .state(runs.clone()),
    )
    .await;
    let other = TestServer::connect(server.tools().clone()).await;
    let arguments = |key| json!({"millis": 10, "idempotency_key": format!("k{key}")});
    for key in 0..20 {
        let arguments = arguments(key).as_object().cloned().unwrap_or_default();
        let params = CallToolRequestParams::new("nap_initiate").with_arguments(arguments);
        let mut call = Box::pin(server.peer().call_tool(params));
        // Sent, and dropped before the answer.
        let _ = timeout(Duration::from_millis(1), &mut call).await;
    }
    drop(server);
    for key in 0..20 {
        let task = other.call("nap_initiate", arguments(key)).await;
        other.finish("nap", task.id()).await;
    }
    assert_eq!(runs.count(), 20);
}
