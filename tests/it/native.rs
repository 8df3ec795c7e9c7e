//! Tools as tasks of the protocol's own: 2026-07-28, on the wire.

mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{
    AsyncTool, AsyncTools, AsyncToolsBuilder, BoxError, Call, Descriptor, Principal, Registry,
    Surface, ToolError, Undeclared,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::asking::{self, SwitchTool};
use crate::raw::{Raw, normalised};

type Runs = Arc<AtomicUsize>;

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nap {
    /// How long, in seconds.
    seconds: u64,
    /// How to end.
    #[serde(default)]
    end: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Rested {
    seconds: u64,
}

async fn nap(input: Nap, call: Call<'_>) -> Result<Rested, BoxError> {
    call.borrow::<Runs>().fetch_add(1, Ordering::SeqCst);
    let task = call.context();
    task.progress().message("sleeping");
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(input.seconds)) => {}
        () = task.cancelled() => return Err(ToolError::new("woken up").into()),
    }
    match input.end.as_deref() {
        Some("protocol") => Err(ToolError::new("no bed").with_protocol_code(-32603).into()),
        Some(code) => Err(ToolError::new("bad dreams")
            .with_code(code.to_owned())
            .into()),
        None => Ok(Rested {
            seconds: input.seconds,
        }),
    }
}

macro_rules! tool {
    ($tool:ident, $descriptor:expr) => {
        struct $tool;

        impl AsyncTool for $tool {
            type Input = Nap;
            type Output = Rested;

            fn descriptor(&self) -> &'static Descriptor {
                static DESCRIPTOR: Descriptor = $descriptor;
                &DESCRIPTOR
            }

            async fn run(&self, input: Nap, call: Call<'_>) -> Result<Rested, BoxError> {
                nap(input, call).await
            }
        }
    };
}

tool!(NapTool, Descriptor::new("nap").description("Sleep."));
tool!(
    StrictTool,
    Descriptor::new("strict").undeclared(Undeclared::Reject)
);
tool!(
    QuickTool,
    Descriptor::new("quick").inline(Duration::from_secs(1))
);

pub(crate) fn builder() -> AsyncToolsBuilder {
    builder_of(&Runs::default())
}

fn builder_of(runs: &Runs) -> AsyncToolsBuilder {
    let registry = Registry::new()
        .with(NapTool)
        .with(StrictTool)
        .with(QuickTool)
        .with(SwitchTool);
    AsyncTools::builder()
        .registry(registry)
        .state(Arc::clone(runs))
        .state(asking::counts())
        .surface([Surface::Family, Surface::Native])
}

/// Servers on tokio's clock, so that the tests' hours pass in no time.
pub(crate) async fn start(builder: AsyncToolsBuilder) -> AsyncTools {
    TestServer::start(builder).await.tools().clone()
}

pub(crate) fn declaring() -> Value {
    json!({"extensions": {"io.modelcontextprotocol/tasks": {}}, "elicitation": {}})
}

/// The result, without what says that it is one.
#[expect(clippy::needless_pass_by_value, reason = "what is asked at once")]
fn result(message: Value) -> Value {
    assert_eq!(message["jsonrpc"], "2.0");
    assert!(message.get("error").is_none(), "{message}");
    let mut result = message["result"].clone();
    if let Some(meta) = result.get_mut("_meta").and_then(Value::as_object_mut) {
        meta.remove("io.modelcontextprotocol/serverInfo");
        if meta.is_empty() {
            result.as_object_mut().expect("an object").remove("_meta");
        }
    }
    normalised(result)
}

fn code(message: &Value) -> i64 {
    message["error"]["code"]
        .as_i64()
        .unwrap_or_else(|| panic!("no error: {message}"))
}

pub(crate) async fn create(raw: &mut Raw, tool: &str, arguments: Value) -> String {
    let created = raw
        .request("tools/call", json!({"name": tool, "arguments": arguments}))
        .await;
    assert_eq!(created["result"]["resultType"], "task", "{created}");
    created["result"]["taskId"]
        .as_str()
        .expect("an id")
        .to_owned()
}

/// Reads the task until its status is this one.
async fn until(raw: &mut Raw, id: &str, status: &str) -> Value {
    loop {
        let message = raw.request("tasks/get", json!({"taskId": id})).await;
        assert!(message.get("error").is_none(), "{message}");
        if message["result"]["status"] == status {
            return message;
        }
        let ended = ["completed", "failed", "cancelled"];
        let now = message["result"]["status"].as_str().unwrap_or_default();
        assert!(!ended.contains(&now), "{message}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

const DAY: u64 = 24 * 60 * 60 * 1000;

#[tokio::test(start_paused = true)]
async fn a_task_on_the_wire_from_its_creation_to_its_end() {
    let mut raw = Raw::modern(start(builder()).await, &declaring());
    let created = raw
        .request(
            "tools/call",
            json!({"name": "nap", "arguments": {"seconds": 100}}),
        )
        .await;
    let id = created["result"]["taskId"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
    assert_eq!(
        result(created),
        json!({
            "resultType": "task", "taskId": "TASK", "status": "working",
            "statusMessage": "working", "createdAt": "TIME", "lastUpdatedAt": "TIME",
            "ttlMs": 2 * DAY, "pollIntervalMs": 1000,
        })
    );
    tokio::time::sleep(Duration::from_secs(40)).await;
    let working = raw.request("tasks/get", json!({"taskId": id})).await;
    assert_eq!(
        result(working),
        json!({
            "resultType": "complete", "taskId": "TASK", "status": "working",
            "statusMessage": "sleeping", "createdAt": "TIME", "lastUpdatedAt": "TIME",
            "ttlMs": 2 * DAY, "pollIntervalMs": 30_000,
        })
    );
    let completed = until(&mut raw, &id, "completed").await;
    let ttl = completed["result"]["ttlMs"].as_u64().expect("a number");
    assert!((DAY + 100_000..DAY + 101_000).contains(&ttl), "{ttl}");
    let mut completed = result(completed);
    completed
        .as_object_mut()
        .expect("an object")
        .remove("ttlMs");
    assert_eq!(
        completed,
        json!({
            "resultType": "complete", "taskId": "TASK", "status": "completed",
            "createdAt": "TIME", "lastUpdatedAt": "TIME",
            "result": {
                "resultType": "complete",
                "content": [{"type": "text", "text": "{\"seconds\":100}"}],
                "structuredContent": {"seconds": 100}, "isError": false,
            },
        })
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_tool_completes_and_one_of_the_protocol_fails() {
    let mut raw = Raw::modern(start(builder()).await, &declaring());
    let id = create(&mut raw, "nap", json!({"seconds": 1, "end": "quota"})).await;
    let completed = result(until(&mut raw, &id, "completed").await);
    assert_eq!(completed["statusMessage"], "bad dreams");
    assert_eq!(completed["result"]["isError"], true);
    assert!(completed["result"].get("structuredContent").is_none());
    let text = completed["result"]["content"][0]["text"]
        .as_str()
        .expect("text");
    let error: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(
        error,
        json!({"error": {"code": "quota", "message": "bad dreams", "retryable": false}})
    );
    assert!(completed.get("error").is_none());

    let id = create(&mut raw, "nap", json!({"seconds": 1, "end": "protocol"})).await;
    let failed = result(until(&mut raw, &id, "failed").await);
    assert_eq!(
        failed["error"],
        json!({"code": -32603, "message": "no bed"})
    );
    assert_eq!(failed["statusMessage"], "no bed");
    assert!(failed.get("result").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_is_acknowledged_and_the_task_ends_by_itself() {
    let mut raw = Raw::modern(start(builder()).await, &declaring());
    let id = create(&mut raw, "nap", json!({"seconds": 1000})).await;
    let cancel = json!({"taskId": id, "_meta": {"async-tool/reason": "enough"}});
    let ack = raw.request("tasks/cancel", cancel).await;
    assert_eq!(result(ack), json!({"resultType": "complete"}));
    let cancelled = result(until(&mut raw, &id, "cancelled").await);
    assert_eq!(cancelled["statusMessage"], "enough");
    assert!(cancelled.get("result").is_none() && cancelled.get("error").is_none());
    // An ended one is acknowledged all the same, and stays as it is.
    let again = raw.request("tasks/cancel", json!({"taskId": id})).await;
    assert_eq!(result(again), json!({"resultType": "complete"}));
    let unchanged = result(raw.request("tasks/get", json!({"taskId": id})).await);
    assert_eq!(unchanged, cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_question_is_an_elicitation_and_is_answered_by_an_update() {
    let mut raw = Raw::modern(start(builder()).await, &declaring());
    let id = create(&mut raw, "switch", json!({"environment": "production"})).await;
    let asked = until(&mut raw, &id, "input_required").await;
    let requests = asked["result"]["inputRequests"]
        .as_object()
        .expect("an object")
        .clone();
    let (key, request) = requests.into_iter().next().expect("one");
    assert_eq!(
        request,
        json!({
            "method": "elicitation/create",
            "params": {
                "mode": "form",
                "message": "Switch production?",
                "requestedSchema": {
                    "type": "object",
                    "description": "Whether to go on.",
                    "properties": {
                        "approved": {"type": "boolean", "description": "Go on?"},
                        "comment": {"type": "string"},
                    },
                    "required": ["approved"],
                },
            },
        })
    );
    let update = |responses: Value| json!({"taskId": id, "inputResponses": responses});
    // Keys that nobody asked for are ignored; an answer that does not fit is not.
    let ack = raw
        .request(
            "tasks/update",
            update(json!({"other": {"action": "decline"}, "and another": "yes"})),
        )
        .await;
    assert_eq!(result(ack), json!({"resultType": "complete"}));
    let wrong = json!({&key: {"action": "accept", "content": {"approved": 3}}});
    let refused = raw.request("tasks/update", update(wrong)).await;
    assert_eq!(code(&refused), -32602);
    let message = refused["error"]["message"].as_str().expect("a message");
    assert!(message.contains("/content/approved"), "{message}");
    let malformed = raw
        .request("tasks/update", update(json!({&key: "yes"})))
        .await;
    assert_eq!(code(&malformed), -32602);

    let right = json!({&key: {"action": "accept", "content": {"approved": true}}});
    let ack = raw.request("tasks/update", update(right.clone())).await;
    assert_eq!(result(ack), json!({"resultType": "complete"}));
    let again = raw.request("tasks/update", update(right)).await;
    assert_eq!(result(again), json!({"resultType": "complete"}));
    let completed = result(until(&mut raw, &id, "completed").await);
    assert_eq!(completed["result"]["structuredContent"]["approved"], true);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_invalid_params() {
    let mut raw = Raw::modern(start(builder()).await, &declaring());
    for id in ["nonsense", "00000000-0000-4000-8000-000000000000"] {
        for (method, params) in [
            ("tasks/get", json!({"taskId": id})),
            ("tasks/cancel", json!({"taskId": id})),
            ("tasks/update", json!({"taskId": id, "inputResponses": {}})),
        ] {
            let refused = raw.request(method, params).await;
            assert_eq!(code(&refused), -32602, "{method}: {refused}");
        }
    }
    for method in ["tasks/result", "tasks/list"] {
        let refused = raw.request(method, json!({"taskId": "T"})).await;
        assert_eq!(code(&refused), -32601, "{method}: {refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_declare_tasks_gets_none() {
    let runs = Runs::default();
    let tools = start(builder_of(&runs)).await;
    let mut raw = Raw::modern(tools.clone(), &json!({}));
    let missing = json!({
        "requiredCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
    });
    for (method, params) in [
        ("tasks/get", json!({"taskId": "T"})),
        ("tasks/cancel", json!({"taskId": "T"})),
        ("tasks/update", json!({"taskId": "T", "inputResponses": {}})),
        (
            "tools/call",
            json!({"name": "strict", "arguments": {"seconds": 1}}),
        ),
    ] {
        let refused = raw.request(method, params).await;
        assert_eq!(code(&refused), -32021, "{method}: {refused}");
        assert_eq!(refused["error"]["data"], missing);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 0, "nothing was done");
    // Declaring is a matter of each request, not of the connection.
    let declared = json!({
        "name": "strict", "arguments": {"seconds": 1},
    });
    let mut declaring = Raw::modern(tools, &declaring());
    let created = declaring.request("tools/call", declared).await;
    assert_eq!(created["result"]["resultType"], "task");
}

#[tokio::test(start_paused = true)]
async fn the_last_update_does_not_go_backwards_after_an_answer() {
    let mut raw = Raw::modern(start(builder()).await, &declaring());
    let id = create(&mut raw, "switch", json!({"environment": "test"})).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = until(&mut raw, &id, "input_required").await;
    assert_eq!(asked["result"]["statusMessage"], "Switch test?");
    let (key, _) = asked["result"]["inputRequests"]
        .as_object()
        .and_then(|requests| requests.iter().next())
        .expect("a request");
    let answer = json!({"taskId": id, "inputResponses": {
        key: {"action": "accept", "content": {"approved": true}},
    }});
    tokio::time::sleep(Duration::from_secs(60)).await;
    raw.request("tasks/update", answer).await;
    let time = |message: &Value| {
        message["result"]["lastUpdatedAt"]
            .as_str()
            .map(str::to_owned)
    };
    let mut last = time(&asked);
    for _ in 0..20 {
        let now = raw.request("tasks/get", json!({"taskId": id})).await;
        assert!(time(&now) >= last, "{now}");
        last = time(&now);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(last > time(&asked));
}

/// rmcp takes the extension in an old client's capabilities for a declaration.
#[tokio::test(start_paused = true)]
async fn an_older_client_never_gets_a_task_of_the_extension() {
    let tools = start(builder()).await;
    let (mut raw, _) = Raw::legacy(tools, &declaring()).await;
    let call = json!({"name": "nap", "arguments": {"seconds": 5}});
    let answer = raw.request("tools/call", call).await;
    assert_eq!(
        answer["result"]["structuredContent"],
        json!({"seconds": 5}),
        "{answer}"
    );
    let update = json!({"taskId": "T", "inputResponses": {}});
    let update = raw.request("tasks/update", update).await;
    assert_eq!(code(&update), -32601);
}

#[tokio::test(start_paused = true)]
async fn fast_work_is_answered_at_once() {
    let mut raw = Raw::modern(start(builder()).await, &declaring());
    let call = |seconds: u64| json!({"name": "quick", "arguments": {"seconds": seconds}});
    let fast = raw.request("tools/call", call(0)).await;
    assert_eq!(fast["result"]["resultType"], "complete", "{fast}");
    assert!(fast["result"]["_meta"]["async-tool/task_id"].is_string());
    let slow = raw.request("tools/call", call(10)).await;
    assert_eq!(slow["result"]["resultType"], "task", "{slow}");
}

#[tokio::test(start_paused = true)]
async fn a_call_may_give_a_key_and_a_deadline() {
    let runs = Runs::default();
    let mut raw = Raw::modern(start(builder_of(&runs)).await, &declaring());
    let call = |meta: Value| json!({"name": "nap", "arguments": {"seconds": 100}, "_meta": meta});
    let key = json!({"async-tool/idempotency_key": "k"});
    let first = raw.request("tools/call", call(key.clone())).await;
    let second = raw.request("tools/call", call(key)).await;
    assert_eq!(first["result"]["taskId"], second["result"]["taskId"]);
    let deadline = json!({"async-tool/max_wait_seconds": 10});
    let third = raw.request("tools/call", call(deadline)).await;
    let id = third["result"]["taskId"].as_str().expect("an id");
    let failed = until(&mut raw, id, "completed").await;
    let text = failed["result"]["result"]["content"][0]["text"].to_string();
    assert!(text.contains("timed_out"), "{text}");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    for wrong in [
        json!({"async-tool/idempotency_key": "with space"}),
        json!({"async-tool/max_wait_seconds": 0}),
    ] {
        let refused = result(raw.request("tools/call", call(wrong)).await);
        assert_eq!(refused["isError"], true);
        assert!(
            refused["content"][0]["text"]
                .to_string()
                .contains("/_meta/")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn bad_arguments_are_a_result_that_a_model_can_read() {
    let runs = Runs::default();
    let mut raw = Raw::modern(start(builder_of(&runs)).await, &declaring());
    let call = json!({"name": "nap", "arguments": {"second": 100}});
    let refused = result(raw.request("tools/call", call).await);
    assert_eq!(refused["isError"], true);
    assert!(refused.get("structuredContent").is_none());
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

/// What is somebody else's does not exist.
#[tokio::test]
async fn tasks_are_their_principals() {
    let who = Arc::new(std::sync::Mutex::new("alice".to_owned()));
    let current = Arc::clone(&who);
    let builder = builder()
        .principal(move |_| Some(Principal::new(current.lock().expect("no panic").clone())))
        .require_principal();
    let mut raw = Raw::modern(start(builder).await, &declaring());
    let id = create(&mut raw, "nap", json!({"seconds": 100})).await;
    "bob".clone_into(&mut who.lock().expect("no panic"));
    for (method, params) in [
        ("tasks/get", json!({"taskId": id})),
        ("tasks/cancel", json!({"taskId": id})),
        ("tasks/update", json!({"taskId": id, "inputResponses": {}})),
    ] {
        let refused = raw.request(method, params).await;
        assert_eq!(code(&refused), -32602, "{method}: {refused}");
    }
    "alice".clone_into(&mut who.lock().expect("no panic"));
    let own = raw.request("tasks/get", json!({"taskId": id})).await;
    assert_eq!(own["result"]["status"], "working");
}

#[tokio::test(start_paused = true)]
async fn what_is_native_is_published_and_advertised() {
    let tools = start(builder()).await;
    let mut raw = Raw::modern(tools, &declaring());
    let discovered = result(raw.request("server/discover", json!({})).await);
    assert_eq!(
        discovered["capabilities"]["extensions"],
        json!({"io.modelcontextprotocol/tasks": {}})
    );
    assert!(discovered["capabilities"].get("tasks").is_none());
    let listed = result(raw.request("tools/list", json!({})).await);
    let nap = listed["tools"]
        .as_array()
        .and_then(|tools| tools.iter().find(|tool| tool["name"] == "nap"))
        .expect("published");
    assert!(nap.get("execution").is_none());
    assert_eq!(
        nap["inputSchema"]["properties"]
            .as_object()
            .map(serde_json::Map::len),
        Some(2)
    );
    assert_eq!(nap["outputSchema"]["type"], "object");

    let family = start(builder().surface(Surface::Family)).await;
    let mut raw = Raw::modern(family, &declaring());
    let discovered = result(raw.request("server/discover", json!({})).await);
    assert!(discovered["capabilities"].get("extensions").is_none());
}
