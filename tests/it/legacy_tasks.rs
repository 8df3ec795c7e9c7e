//! The core tasks of protocol 2025-11-25, on the wire.

mod http;

use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, AsyncToolsBuilder, Principal, Surface};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::native::{builder, declaring, start};
use crate::raw::{Raw, normalised};
use crate::tools;

const DAY: u64 = 24 * 60 * 60 * 1000;
const RELATED: &str = "io.modelcontextprotocol/related-task";

fn is(method: &str) -> impl Fn(&Value) -> bool {
    move |message| message["method"] == method
}

async fn client(builder: AsyncToolsBuilder) -> Raw {
    Raw::legacy(start(builder).await, &json!({"elicitation": {}}))
        .await
        .0
}

fn call(tool: &str, arguments: &Value) -> Value {
    json!({"name": tool, "arguments": arguments, "task": {"ttl": 60_000}})
}

async fn create(raw: &mut Raw, tool: &str, arguments: Value) -> String {
    let created = raw.request("tools/call", call(tool, &arguments)).await;
    let id = created["result"]["task"]["taskId"].as_str();
    id.unwrap_or_else(|| panic!("no task: {created}"))
        .to_owned()
}

async fn get(raw: &mut Raw, id: &str) -> Value {
    let message = raw.request("tasks/get", json!({"taskId": id})).await;
    assert!(message.get("error").is_none(), "{message}");
    message["result"].clone()
}

fn code(message: &Value) -> i64 {
    let code = message["error"]["code"].as_i64();
    code.unwrap_or_else(|| panic!("no error: {message}"))
}

#[tokio::test(start_paused = true)]
async fn the_handshake_and_the_tools_tell_of_tasks() {
    for (builder, list) in [(builder(), false), (builder().single_user(), true)] {
        let (mut raw, initialized) = Raw::legacy(start(builder).await, &declaring()).await;
        let mut tasks = json!({"cancel": {}, "requests": {"tools": {"call": {}}}});
        if list {
            tasks["list"] = json!({});
        }
        assert_eq!(
            initialized["result"]["capabilities"],
            json!({"tools": {}, "resources": {"subscribe": true}, "tasks": tasks}),
        );
        let listed = raw.request("tools/list", json!({})).await;
        assert!(listed["result"].get("resultType").is_none(), "{listed}");
        let tools = listed["result"]["tools"].as_array().expect("tools");
        let support = |name: &str| {
            let tool = tools.iter().find(|tool| tool["name"] == name);
            tool.expect(name).get("execution").cloned()
        };
        assert_eq!(support("nap"), Some(json!({"taskSupport": "optional"})));
        assert_eq!(support("strict"), Some(json!({"taskSupport": "required"})));
        assert_eq!(support("nap_initiate"), None);
        let listed = raw.request("tasks/list", json!({})).await;
        if list {
            assert_eq!(listed["result"], json!({"tasks": []}));
        } else {
            assert_eq!(code(&listed), -32601);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_on_the_wire_from_its_creation_to_its_result() {
    let mut raw = client(builder()).await;
    let mut params = call("nap", &json!({"seconds": 100}));
    params["_meta"] = json!({"progressToken": "p1"});
    let created = raw.request("tools/call", params).await;
    let id = created["result"]["task"]["taskId"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(created["result"]["_meta"][RELATED]["taskId"], *id);
    assert_eq!(
        normalised(created),
        json!({"jsonrpc": "2.0", "id": 2, "result": {
            "task": {
                "taskId": "TASK", "status": "working", "statusMessage": "working",
                "createdAt": "TIME", "lastUpdatedAt": "TIME", "ttl": 2 * DAY,
                "pollInterval": 1000,
            },
            "_meta": {
                RELATED: {"taskId": "TASK"},
                "io.modelcontextprotocol/model-immediate-response": "nap has started as a task.",
            },
        }})
    );
    tokio::time::sleep(Duration::from_secs(40)).await;
    let working = raw.request("tasks/get", json!({"taskId": id})).await;
    assert_eq!(
        normalised(working),
        json!({"jsonrpc": "2.0", "id": 3, "result": {
            "taskId": "TASK", "status": "working", "statusMessage": "sleeping",
            "createdAt": "TIME", "lastUpdatedAt": "TIME", "ttl": 2 * DAY, "pollInterval": 30_000,
        }})
    );
    // It waits for the end.
    let started = Instant::now();
    let result = raw.request("tasks/result", json!({"taskId": id})).await;
    assert!(
        started.elapsed() > Duration::from_secs(59),
        "{:?}",
        started.elapsed()
    );
    let expected = json!({"jsonrpc": "2.0", "id": 4, "result": {
        "content": [{"type": "text", "text": "{\"seconds\":100}"}],
        "structuredContent": {"seconds": 100}, "isError": false,
        "_meta": {RELATED: {"taskId": "TASK"}},
    }});
    assert_eq!(normalised(result), expected);
    // And is there once more.
    let mut again = normalised(raw.request("tasks/result", json!({"taskId": id})).await);
    again["id"] = json!(4);
    assert_eq!(again, expected);
    let mut completed = get(&mut raw, &id).await;
    let ttl = completed["ttl"].as_u64().expect("a number");
    assert!((DAY + 100_000..DAY + 101_000).contains(&ttl), "{ttl}");
    completed["ttl"] = json!("TTL");
    assert_eq!(
        normalised(completed),
        json!({
            "taskId": "TASK", "status": "completed", "createdAt": "TIME",
            "lastUpdatedAt": "TIME", "ttl": "TTL",
        })
    );
    // While the result was waited for, there was a sign of life each minute.
    let mut status = raw.until(is("notifications/tasks/status")).await;
    assert_eq!(status["params"]["status"], "working");
    status = raw.until(is("notifications/tasks/status")).await;
    status["params"]["ttl"] = json!("TTL");
    assert_eq!(
        normalised(status),
        json!({"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": {
            "taskId": "TASK", "status": "completed", "createdAt": "TIME",
            "lastUpdatedAt": "TIME", "ttl": "TTL",
        }})
    );
}

#[tokio::test(start_paused = true)]
async fn progress_keeps_the_token_of_the_call_until_the_end() {
    let tools = TestServer::start(tools::builder().surface(Surface::Native)).await;
    let (mut raw, _) = Raw::legacy(tools.tools().clone(), &json!({})).await;
    let mut params = call("work", &json!({"units": 20}));
    params["_meta"] = json!({"progressToken": 7});
    let created = raw.request("tools/call", params).await;
    let id = created["result"]["task"]["taskId"]
        .as_str()
        .expect("an id")
        .to_owned();
    let mut last = -1.0;
    let mut count = 0;
    loop {
        let message = raw.next().await;
        if message["method"] == "notifications/tasks/status" {
            assert_eq!(message["params"]["status"], "completed");
            assert!(message["params"].get("_meta").is_none(), "{message}");
            break;
        }
        assert_eq!(message["method"], "notifications/progress");
        let params = &message["params"];
        assert_eq!(params["progressToken"], 7);
        assert_eq!(params["_meta"], json!({RELATED: {"taskId": id}}));
        let progress = params["progress"].as_f64().expect("a number");
        assert!(progress > last, "{progress} after {last}");
        last = progress;
        count += 1;
        if count == 30 {
            let message = params["message"].as_str().expect("text");
            assert!(message.contains("work (2/3)"), "{message}");
        }
    }
    assert!((50..=62).contains(&count), "{count}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    raw.request("ping", json!({})).await;
    assert!(!raw.has_seen(is("notifications/progress")), "it has ended");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_silent_still_shows_that_it_lives() {
    let mut raw = client(builder()).await;
    let mut params = call("nap", &json!({"seconds": 100}));
    params["_meta"] = json!({"progressToken": "p"});
    raw.request("tools/call", params).await;
    raw.until(is("notifications/tasks/status")).await;
    let mut count = 0;
    while raw.has_seen(is("notifications/progress")) {
        raw.until(is("notifications/progress")).await;
        count += 1;
    }
    assert!((6..10).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn who_gave_no_token_is_told_of_the_status_alone() {
    let mut raw = client(builder()).await;
    let id = create(&mut raw, "switch", json!({"environment": "test"})).await;
    let asks = raw.until(is("notifications/tasks/status")).await;
    assert_eq!(asks["params"]["status"], "input_required");
    assert_eq!(asks["params"]["taskId"], *id);
    assert!(!raw.has_seen(is("notifications/progress")));
}

#[tokio::test(start_paused = true)]
async fn a_failed_tool_fails_the_task_and_its_result_says_how() {
    let mut raw = client(builder()).await;
    let id = create(&mut raw, "nap", json!({"seconds": 1, "end": "quota"})).await;
    let result = raw.request("tasks/result", json!({"taskId": id})).await["result"].clone();
    assert_eq!(result["isError"], true);
    assert_eq!(result["_meta"], json!({RELATED: {"taskId": id}}));
    let text = result["content"][0]["text"].as_str().expect("text");
    assert!(text.contains("bad dreams"), "{text}");
    let failed = get(&mut raw, &id).await;
    assert_eq!(
        (&failed["status"], &failed["statusMessage"]),
        (&json!("failed"), &json!("bad dreams"))
    );

    let id = create(&mut raw, "nap", json!({"seconds": 1, "end": "protocol"})).await;
    let error = raw.request("tasks/result", json!({"taskId": id})).await;
    assert_eq!(error["error"], json!({"code": -32603, "message": "no bed"}));
    assert_eq!(get(&mut raw, &id).await["status"], "failed");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_is_cancelled_at_once_and_stays_so() {
    let server =
        TestServer::start(tools::builder().surface([Surface::Family, Surface::Native])).await;
    let (mut raw, _) = Raw::legacy(server.tools().clone(), &json!({})).await;
    // It ignores the request, and completes.
    let id = create(&mut raw, "limited", json!({"millis": 5_000, "good": true})).await;
    let waiting = raw.begin("tasks/result", json!({"taskId": id})).await;
    let started = Instant::now();
    let cancelled = raw.request("tasks/cancel", json!({"taskId": id})).await;
    assert!(
        started.elapsed() < Duration::from_millis(500),
        "{:?}",
        started.elapsed()
    );
    let result = cancelled["result"].clone();
    assert_eq!(
        normalised(result),
        json!({
            "taskId": "TASK", "status": "cancelled", "createdAt": "TIME",
            "lastUpdatedAt": "TIME", "ttl": DAY + 60_000,
        })
    );
    assert_eq!(code(&raw.answer(waiting).await), -32603);
    let told = raw.until(is("notifications/tasks/status")).await;
    assert_eq!(told["params"]["status"], "cancelled");

    // The family tells how the work went on; here it stays as it was.
    let end = server.finish("limited", &id).await;
    assert_eq!(end["status"], "completed");
    assert_eq!(get(&mut raw, &id).await["status"], "cancelled");
    let result = raw.request("tasks/result", json!({"taskId": id})).await;
    assert_eq!(code(&result), -32603);
    let again = raw.request("tasks/cancel", json!({"taskId": id})).await;
    assert_eq!(
        again["error"],
        json!({
            "code": -32602,
            "message": "Cannot cancel task: already in terminal status 'cancelled'",
        })
    );
    assert!(!raw.has_seen(is("notifications/tasks/status")));
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_cannot_be_cancelled() {
    let mut raw = client(builder()).await;
    let id = create(&mut raw, "nap", json!({"seconds": 1})).await;
    raw.request("tasks/result", json!({"taskId": id})).await;
    let refused = raw.request("tasks/cancel", json!({"taskId": id})).await;
    assert_eq!(
        refused["error"],
        json!({
            "code": -32602,
            "message": "Cannot cancel task: already in terminal status 'completed'",
        })
    );
    assert_eq!(get(&mut raw, &id).await["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn while_a_result_is_waited_for_the_client_is_asked() {
    let mut raw = client(builder()).await;
    let id = create(&mut raw, "switch", json!({"environment": "test"})).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(get(&mut raw, &id).await["status"], "input_required");
    assert!(!raw.has_seen(is("elicitation/create")), "nobody waits");
    let waiting = raw.begin("tasks/result", json!({"taskId": id})).await;
    let mut asked = raw.until(is("elicitation/create")).await;
    let request_id = asked["id"].clone();
    asked["id"] = json!("ID");
    // rmcp gives each request a token.
    let meta = asked["params"]["_meta"].as_object_mut().expect("an object");
    meta.remove("progressToken");
    assert_eq!(
        normalised(asked),
        json!({
            "jsonrpc": "2.0", "id": "ID", "method": "elicitation/create",
            "params": {
                "mode": "form", "message": "Switch test?",
                "requestedSchema": {
                    "type": "object",
                    "description": "Whether to go on.",
                    "properties": {
                        "approved": {"type": "boolean", "description": "Go on?"},
                        "comment": {"type": "string"},
                    },
                    "required": ["approved"],
                },
                "_meta": {RELATED: {"taskId": "TASK"}},
            },
        })
    );
    raw.send(&json!({
        "jsonrpc": "2.0", "id": request_id,
        "result": {"action": "accept", "content": {"approved": true}},
    }))
    .await;
    let result = raw.answer(waiting).await;
    assert_eq!(
        result["result"]["structuredContent"]["approved"], true,
        "{result}"
    );
    let mut told = Vec::new();
    for _ in 0..3 {
        let status = raw.until(is("notifications/tasks/status")).await;
        told.push(
            status["params"]["status"]
                .as_str()
                .expect("a word")
                .to_owned(),
        );
    }
    assert_eq!(told, ["input_required", "working", "completed"]);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_was_answered_elsewhere_is_taken_back() {
    let server = start(builder()).await;
    let (mut raw, _) = Raw::legacy(server.clone(), &json!({"elicitation": {}})).await;
    let id = create(&mut raw, "switch", json!({"environment": "test"})).await;
    let waiting = raw.begin("tasks/result", json!({"taskId": id})).await;
    let asked = raw.until(is("elicitation/create")).await;
    let other = TestServer::connect(server).await;
    let status = other.call("switch_status", json!({"task_id": id})).await;
    let answer = json!({
        "task_id": id, "key": status["questions"][0]["key"],
        "action": "accept", "content": {"approved": false},
    });
    other.call("switch_respond", answer).await;
    let withdrawn = raw.until(is("notifications/cancelled")).await;
    assert_eq!(withdrawn["params"]["requestId"], asked["id"]);
    let result = raw.answer(waiting).await;
    assert_eq!(result["result"]["structuredContent"]["approved"], false);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_be_asked_waits_for_others_to_answer() {
    let server = start(builder()).await;
    let (mut raw, _) = Raw::legacy(server.clone(), &json!({})).await;
    let id = create(&mut raw, "switch", json!({"environment": "test"})).await;
    let waiting = raw.begin("tasks/result", json!({"taskId": id})).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let other = TestServer::connect(server).await;
    let status = other.call("switch_status", json!({"task_id": id})).await;
    let answer = json!({
        "task_id": id, "key": status["questions"][0]["key"], "action": "decline",
    });
    other.call("switch_respond", answer).await;
    let result = raw.answer(waiting).await;
    assert_eq!(result["result"]["isError"], true, "{result}");
    assert!(!raw.has_seen(is("elicitation/create")));
}

#[tokio::test(start_paused = true)]
async fn tools_are_called_as_their_task_support_says() {
    let mut raw = client(builder()).await;
    // Optional: as a task or not.
    let plain = json!({"name": "nap", "arguments": {"seconds": 1}});
    let answer = raw.request("tools/call", plain).await;
    assert_eq!(answer["result"]["structuredContent"], json!({"seconds": 1}));
    // Required.
    let plain = json!({"name": "strict", "arguments": {"seconds": 1}});
    assert_eq!(code(&raw.request("tools/call", plain).await), -32601);
    create(&mut raw, "strict", json!({"seconds": 1})).await;
    // Forbidden, or not there at all.
    for tool in ["nap_initiate", "unheard_of"] {
        let refused = raw
            .request("tools/call", call(tool, &json!({"seconds": 1})))
            .await;
        assert_eq!(code(&refused), -32601, "{tool}");
    }
    let refused = raw
        .request("tools/call", call("nap", &json!({"seconds": "x"})))
        .await;
    assert_eq!(code(&refused), -32602);
    // What ended within the call begins as a task all the same.
    let created = raw
        .request("tools/call", call("quick", &json!({"seconds": 0})))
        .await;
    assert_eq!(created["result"]["task"]["status"], "working");
}

#[tokio::test(start_paused = true)]
async fn what_there_is_not_is_invalid_params() {
    let mut raw = client(builder()).await;
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        for params in [
            json!({"taskId": "0".repeat(32)}),
            json!({"taskId": "x"}),
            json!({}),
        ] {
            assert_eq!(code(&raw.request(method, params).await), -32602, "{method}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_paged_from_the_newest_to_the_oldest() {
    let mut raw = client(builder().single_user()).await;
    let mut created = Vec::new();
    for _ in 0..60 {
        created.push(create(&mut raw, "nap", json!({"seconds": 3600})).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    created.reverse();
    let ids = |page: &Value| -> Vec<String> {
        let tasks = page["result"]["tasks"].as_array().expect("tasks");
        let id = |task: &Value| task["taskId"].as_str().expect("an id").to_owned();
        tasks.iter().map(id).collect()
    };
    let first = raw.request("tasks/list", json!({})).await;
    let cursor = first["result"]["nextCursor"].as_str().expect("more");
    let second = raw.request("tasks/list", json!({"cursor": cursor})).await;
    assert!(second["result"].get("nextCursor").is_none());
    assert_eq!([ids(&first), ids(&second)].concat(), created);
    let task = first["result"]["tasks"][0].clone();
    assert_eq!(task, get(&mut raw, &created[0]).await);
    let refused = raw
        .request("tasks/list", json!({"cursor": "yesterday"}))
        .await;
    assert_eq!(code(&refused), -32602);
}

#[tokio::test(start_paused = true)]
async fn tasks_are_their_principals() {
    let builder = builder().principal(|request| {
        let client = request.context().client_info()?;
        Some(Principal::new(client.name))
    });
    let tools = start(builder).await;
    let alice = TestServer::connect_as(tools.clone(), "alice").await;
    let task = alice.call("nap_initiate", json!({"seconds": 60})).await;
    // The raw client's name is `raw`.
    let (mut bob, initialized) = Raw::legacy(tools, &json!({})).await;
    assert_eq!(
        initialized["result"]["capabilities"]["tasks"]["list"],
        json!({})
    );
    let own = create(&mut bob, "nap", json!({"seconds": 60})).await;
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let foreign = bob.request(method, json!({"taskId": task.id()})).await;
        let mut never = bob.request(method, json!({"taskId": "0".repeat(32)})).await;
        never["id"] = foreign["id"].clone();
        assert_eq!(foreign, never, "not even a hint");
    }
    let listed = bob.request("tasks/list", json!({})).await;
    let tasks = listed["result"]["tasks"].as_array().expect("tasks");
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0]["taskId"], *own);
    let working = alice
        .call("nap_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(working["status"], "working");
}

/// Whom rmcp lets through the handshake, and in which version.
async fn open(tools: AsyncTools, version: &str) -> (Raw, Value) {
    Raw::legacy_of(tools, version, &declaring()).await
}

#[tokio::test(start_paused = true)]
async fn other_versions_know_nothing_of_these_tasks() {
    let tools = start(builder().single_user()).await;
    for version in ["2025-06-18", "2024-11-05"] {
        let (mut raw, initialized) = open(tools.clone(), version).await;
        let capabilities = &initialized["result"]["capabilities"];
        assert_eq!(
            *capabilities,
            json!({"tools": {}, "resources": {"subscribe": true}})
        );
        let listed = raw.request("tools/list", json!({})).await;
        assert!(!listed.to_string().contains("taskSupport"));
        let answer = raw
            .request("tools/call", call("nap", &json!({"seconds": 1})))
            .await;
        assert_eq!(
            answer["result"]["structuredContent"],
            json!({"seconds": 1}),
            "{answer}"
        );
        for method in ["tasks/get", "tasks/result", "tasks/list", "tasks/cancel"] {
            let refused = raw.request(method, json!({"taskId": "0".repeat(32)})).await;
            assert_eq!(code(&refused), -32601, "{version} {method}");
        }
    }
    let mut raw = Raw::modern(tools, &json!({}));
    let answer = raw
        .request("tools/call", call("nap", &json!({"seconds": 1})))
        .await;
    assert_eq!(
        answer["result"]["structuredContent"],
        json!({"seconds": 1}),
        "{answer}"
    );
    for method in [
        "tasks/result",
        "tasks/list",
        "async-tool/2025-11-25/tasks/get",
    ] {
        let refused = raw.request(method, json!({"taskId": "0".repeat(32)})).await;
        assert_eq!(code(&refused), -32601, "{method}");
    }
    let listed = raw.request("tools/list", json!({})).await;
    assert!(!listed.to_string().contains("taskSupport"));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_native_tools_has_no_tasks() {
    let server = tools::start().await;
    let (mut raw, initialized) = Raw::legacy(server.tools().clone(), &json!({})).await;
    let capabilities = &initialized["result"]["capabilities"];
    assert_eq!(
        *capabilities,
        json!({"tools": {}, "resources": {"subscribe": true}})
    );
    let started = raw
        .request("tools/call", call("nap_initiate", &json!({"millis": 1})))
        .await;
    assert!(
        started["result"]["structuredContent"]["task_id"].is_string(),
        "{started}"
    );
    let refused = raw
        .request("tasks/get", json!({"taskId": "0".repeat(32)}))
        .await;
    assert_eq!(code(&refused), -32601);
}
