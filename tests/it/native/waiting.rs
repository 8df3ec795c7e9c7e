//! Native tools called by clients that speak no tasks: they wait for the end,
//! and are asked what the task asks.

use std::time::Duration;

use async_tool::Surface;
use async_tool::testing::TestServer;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{builder, code, declaring, result, start, until};
use crate::raw::Raw;

#[tokio::test(start_paused = true)]
async fn who_does_not_declare_tasks_waits_for_the_end() {
    let mut raw = Raw::modern(start(builder()).await, &json!({}));
    let started = Instant::now();
    let id = raw
        .begin(
            "tools/call",
            json!({
                "name": "nap", "arguments": {"seconds": 100},
                "_meta": {"progressToken": "p"},
            }),
        )
        .await;
    let answer = result(raw.answer(id).await);
    assert_eq!(started.elapsed().as_secs(), 100);
    assert_eq!(answer["resultType"], "complete");
    assert_eq!(answer["structuredContent"], json!({"seconds": 100}));
    // Progress at once, and a sign of life at least every 15 seconds.
    let mut last = -1.0;
    let mut count = 0;
    for _ in 0..7 {
        let progress = raw
            .until(|message| message["method"] == "notifications/progress")
            .await;
        assert_eq!(progress["params"]["progressToken"], "p");
        let number = progress["params"]["progress"].as_f64().expect("a number");
        assert!(
            number > last && number - last < 17.0,
            "{number} after {last}"
        );
        last = number;
        count += 1;
    }
    assert_eq!(count, 7);

    let failed = raw
        .request(
            "tools/call",
            json!({"name": "nap", "arguments": {"seconds": 1, "end": "protocol"}}),
        )
        .await;
    assert_eq!(code(&failed), -32603);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_taken_back_cancels_its_task() {
    let tools = start(builder().single_user()).await;
    let mut raw = Raw::modern(tools.clone(), &json!({}));
    let id = raw
        .begin(
            "tools/call",
            json!({"name": "nap", "arguments": {"seconds": 1000}}),
        )
        .await;
    let listed = async |raw: &mut Raw| {
        let list = json!({"name": "task_list", "arguments": {}});
        let list = raw.request("tools/call", list).await;
        list["result"]["structuredContent"]["tasks"][0]["status"].clone()
    };
    while listed(&mut raw).await != "working" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    raw.send(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id},
    }))
    .await;
    while listed(&mut raw).await != "cancelled" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A client without tasks that can be asked gets the question instead of the
/// result, and calls again with the answer.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_passes_questions_on() {
    let mut raw = Raw::modern(start(builder()).await, &json!({"elicitation": {}}));
    let call = json!({"name": "switch", "arguments": {"environment": "test"}});
    let incomplete = raw.request("tools/call", call.clone()).await["result"].clone();
    assert_eq!(incomplete["resultType"], "input_required");
    let key = incomplete["inputRequests"]
        .as_object()
        .and_then(|requests| requests.keys().next().cloned())
        .expect("a request");
    let mut again = call.clone();
    again["requestState"] = incomplete["requestState"].clone();
    again["inputResponses"] = json!({
        &key: {"action": "accept", "content": {"approved": true}},
    });
    let answer = result(raw.request("tools/call", again).await);
    assert_eq!(answer["structuredContent"]["approved"], true, "{answer}");

    let mut forged = call;
    forged["requestState"] = json!("00000000-0000-4000-8000-000000000000");
    let refused = result(raw.request("tools/call", forged).await);
    assert_eq!(refused["isError"], true);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_be_asked_is_told_how_to_go_on() {
    let mut raw = Raw::modern(start(builder()).await, &json!({}));
    let call = json!({"name": "switch", "arguments": {"environment": "test"}});
    let answer = result(raw.request("tools/call", call.clone()).await);
    assert_eq!(answer["isError"], true);
    let text = answer["content"][0]["text"].as_str().expect("text");
    assert!(text.contains("switch_respond"), "{text}");

    // Without plain tools nobody could answer: the task must not wait in vain.
    let only = start(builder().surface(Surface::Native).single_user()).await;
    let mut raw = Raw::modern(only, &json!({}));
    let answer = result(raw.request("tools/call", call).await);
    let text = answer["content"][0]["text"].as_str().expect("text");
    assert!(text.contains("cancelled"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn older_clients_are_asked_by_a_request() {
    let tools = start(builder()).await;
    let (mut raw, initialized) = Raw::legacy(tools, &json!({"elicitation": {}})).await;
    assert!(
        initialized["result"]["capabilities"]
            .get("extensions")
            .is_none(),
        "there is no such extension under this version: {initialized}"
    );
    let call = json!({"name": "switch", "arguments": {"environment": "test"}});
    let id = raw.begin("tools/call", call).await;
    let question = raw
        .until(|message| message["method"] == "elicitation/create")
        .await;
    assert_eq!(question["params"]["message"], "Switch test?");
    raw.send(&json!({
        "jsonrpc": "2.0", "id": question["id"],
        "result": {"action": "accept", "content": {"approved": true}},
    }))
    .await;
    let answer = raw.answer(id).await;
    assert_eq!(
        answer["result"]["structuredContent"]["approved"], true,
        "{answer}"
    );
    assert!(answer["result"].get("resultType").is_none());
}

/// The next question to a client of an older version.
async fn question(raw: &mut Raw) -> Value {
    raw.until(|message| message["method"] == "elicitation/create")
        .await
}

async fn switching(raw: &mut Raw, meta: Value) -> u64 {
    let call = json!({"name": "switch", "arguments": {"environment": "test"}, "_meta": meta});
    raw.begin("tools/call", call).await
}

/// A host that accepts everything with nothing.
#[tokio::test(start_paused = true)]
async fn an_older_client_is_not_asked_for_ever() {
    let tools = start(builder()).await;
    let (mut raw, _) = Raw::legacy(tools, &json!({"elicitation": {}})).await;
    let id = switching(&mut raw, json!({})).await;
    for _ in 0..4 {
        let question = question(&mut raw).await;
        raw.send(&json!({
            "jsonrpc": "2.0", "id": question["id"],
            "result": {"action": "accept", "content": {}},
        }))
        .await;
    }
    let answer = raw.answer(id).await;
    let text = answer["result"]["content"][0]["text"].to_string();
    assert!(text.contains("input_dismissed"), "{answer}");
}

/// A question is shown once, whatever else goes on, and how many calls wait.
#[tokio::test(start_paused = true)]
async fn an_older_client_is_asked_a_question_once() {
    let tools = start(builder().max_waiting_calls(0)).await;
    let (mut raw, _) = Raw::legacy(tools, &json!({"elicitation": {}})).await;
    let id = switching(&mut raw, json!({})).await;
    let asked = question(&mut raw).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    raw.send(&json!({
        "jsonrpc": "2.0", "id": asked["id"],
        "result": {"action": "accept", "content": {"approved": true}},
    }))
    .await;
    let answer = raw.answer(id).await;
    assert_eq!(
        answer["result"]["structuredContent"]["approved"], true,
        "{answer}"
    );
    assert!(!raw.came("elicitation/create"));
}

/// Nobody is at the keyboard, and somebody answers elsewhere; progress goes on.
#[tokio::test(start_paused = true)]
async fn a_question_to_an_older_client_ends_when_it_is_answered_elsewhere() {
    let server = TestServer::start(builder().single_user()).await;
    let (mut raw, _) = Raw::legacy(server.tools().clone(), &json!({"elicitation": {}})).await;
    let id = switching(&mut raw, json!({"progressToken": "p"})).await;
    let asked = question(&mut raw).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    let listed = server.call("task_list", json!({})).await;
    let task = listed["tasks"][0]["task_id"].clone();
    let status = server.call("switch_status", json!({"task_id": task})).await;
    let answer = json!({
        "task_id": task, "key": status["questions"][0]["key"],
        "action": "accept", "content": {"approved": true},
    });
    server.call("switch_respond", answer).await;
    let cancelled = raw
        .until(|message| message["method"] == "notifications/cancelled")
        .await;
    assert_eq!(cancelled["params"]["requestId"], asked["id"]);
    let answer = raw.answer(id).await;
    assert_eq!(
        answer["result"]["structuredContent"]["approved"], true,
        "{answer}"
    );
    let mut last = -1.0;
    for _ in 0..5 {
        let progress = raw
            .until(|message| message["method"] == "notifications/progress")
            .await;
        let number = progress["params"]["progress"].as_f64().expect("a number");
        assert!(number > last, "{number} after {last}");
        last = number;
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_to_an_older_client_ends_with_the_task() {
    let tools = start(builder()).await;
    let (mut raw, _) = Raw::legacy(tools, &json!({"elicitation": {}})).await;
    let id = switching(&mut raw, json!({"async-tool/max_wait_seconds": 10})).await;
    question(&mut raw).await;
    let answer = raw.answer(id).await;
    let text = answer["result"]["content"][0]["text"].to_string();
    assert!(text.contains("timed_out"), "{answer}");
}

/// A task that was asked for by a key is not one caller's alone.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_taken_back_leaves_a_task_that_others_may_know() {
    let server = TestServer::start(builder()).await;
    let arguments = json!({"seconds": 100, "idempotency_key": "k"});
    let task = server.call("nap_initiate", arguments).await;
    let mut raw = Raw::modern(server.tools().clone(), &json!({}));
    let call = json!({
        "name": "nap", "arguments": {"seconds": 100},
        "_meta": {"async-tool/idempotency_key": "k"},
    });
    let id = raw.begin("tools/call", call).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    raw.send(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id},
    }))
    .await;
    let end = server.finish("nap", task.id()).await;
    assert_eq!(end["status"], "completed", "{}", end.text);
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_come_with_a_declaration() {
    let tools = start(builder()).await;
    let mut raw = Raw::modern(tools.clone(), &json!({"elicitation": {}}));
    let call = json!({"name": "switch", "arguments": {"environment": "test"}});
    let incomplete = raw.request("tools/call", call.clone()).await["result"].clone();
    let key = incomplete["inputRequests"]
        .as_object()
        .and_then(|requests| requests.keys().next().cloned())
        .expect("a request");
    let state = incomplete["requestState"].as_str().expect("a state");
    let (id, _) = state.split_once('.').expect("an id");
    let mut again = call;
    again["requestState"] = json!(state);
    again["inputResponses"] = json!({
        &key: {"action": "accept", "content": {"approved": true}},
    });
    let mut declaring = Raw::modern(tools, &declaring());
    // The state is that of one call.
    let mut other = again.clone();
    other["arguments"]["environment"] = json!("production");
    let refused = result(declaring.request("tools/call", other).await);
    assert_eq!(refused["isError"], true);
    let created = declaring.request("tools/call", again).await;
    assert_eq!(created["result"]["taskId"], id, "{created}");
    let completed = result(until(&mut declaring, id, "completed").await);
    assert_eq!(completed["result"]["structuredContent"]["approved"], true);
}

#[tokio::test(start_paused = true)]
async fn who_only_follows_links_is_asked_by_no_form() {
    let url_only = json!({"elicitation": {"url": {}}});
    let mut raw = Raw::modern(start(builder()).await, &url_only);
    let call = json!({"name": "switch", "arguments": {"environment": "test"}});
    let answer = result(raw.request("tools/call", call).await);
    assert_eq!(answer["isError"], true, "{answer}");
}

/// A drain is waited for: the result is what the caller wants.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_gets_its_result_while_the_server_drains() {
    let server = TestServer::start(builder()).await;
    let mut raw = Raw::modern(server.tools().clone(), &json!({}));
    let calls = [10, 1000].map(|seconds| json!({"name": "nap", "arguments": {"seconds": seconds}}));
    let [short, long] = calls;
    let short = raw.begin("tools/call", short).await;
    let long = raw.begin("tools/call", long).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let tools = server.tools().clone();
    let shutdown = tokio::spawn(async move { tools.shutdown().await });
    let answer = raw.answer(short).await;
    assert_eq!(
        answer["result"]["structuredContent"],
        json!({"seconds": 10}),
        "{answer}"
    );
    let answer = raw.answer(long).await;
    let text = answer["result"]["content"][0]["text"].to_string();
    assert!(text.contains("interrupted"), "{answer}");
    shutdown.await.expect("no panic");
}
