//! One task through all doors at once.

use async_tool::Principal;
use async_tool::Surface;
use async_tool::testing::TestServer;
use serde_json::{Value, json};

use crate::raw::Raw;
use crate::tools::builder;

fn declaring() -> Value {
    json!({"extensions": {"io.modelcontextprotocol/tasks": {}}})
}

/// What the doors say of a task, in the same words.
#[derive(Debug, PartialEq)]
struct Seen {
    id: String,
    status: String,
    created_at: String,
}

fn seen(value: &Value, id: &str, created_at: &str) -> Seen {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    Seen {
        id: text(id),
        status: text("status"),
        created_at: text(created_at),
    }
}

/// The answer to a call of a plain tool.
async fn call(raw: &mut Raw, name: &str, arguments: Value) -> Value {
    let call = json!({"name": name, "arguments": arguments});
    let answer = raw.request("tools/call", call).await;
    answer["result"]["structuredContent"].clone()
}

async fn by_list(raw: &mut Raw) -> Value {
    call(raw, "task_list", json!({})).await["tasks"][0].clone()
}

async fn by_resource(raw: &mut Raw, id: &str) -> Value {
    let uri = format!("resource://tasks/{id}");
    let read = raw.request("resources/read", json!({"uri": uri})).await;
    let text = read["result"]["contents"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text: {read}"));
    serde_json::from_str(text).expect("JSON")
}

async fn by_task(raw: &mut Raw, id: &str) -> Value {
    raw.request("tasks/get", json!({"taskId": id})).await["result"].clone()
}

#[tokio::test(start_paused = true)]
async fn a_task_is_the_same_through_all_doors() {
    let builder = builder()
        .surface([Surface::Family, Surface::Shared, Surface::Native])
        .principal(|_| Some(Principal::new("alice")));
    let server = TestServer::start(builder).await;
    let mut raw = Raw::modern(server.tools().clone(), &declaring());
    let task = call(&mut raw, "nap_initiate", json!({"millis": 600_000})).await;
    let id = task["task_id"].as_str().expect("an id").to_owned();
    let created_at = task["created_at"].as_str().expect("a time").to_owned();
    let expected = |status: &str| Seen {
        id: id.clone(),
        status: status.to_owned(),
        created_at: created_at.clone(),
    };

    let native = by_task(&mut raw, &id).await;
    assert_eq!(seen(&native, "taskId", "createdAt"), expected("working"));
    let listed = by_list(&mut raw).await;
    assert_eq!(seen(&listed, "task_id", "created_at"), expected("working"));
    let resource = by_resource(&mut raw, &id).await;
    assert_eq!(resource["status"], "working");
    for status in ["nap_status", "task_status"] {
        let status = call(&mut raw, status, json!({"task_id": id})).await;
        assert_eq!(status["status"], "working");
        assert_eq!(status["revision"], resource["revision"]);
    }

    let ack = raw.request("tasks/cancel", json!({"taskId": id})).await;
    assert_eq!(ack["result"]["resultType"], "complete", "{ack}");
    let ended = call(
        &mut raw,
        "nap_status",
        json!({"task_id": id, "wait_seconds": 50}),
    )
    .await;
    assert_eq!(seen(&ended, "task_id", "created_at"), expected("cancelled"));
    let native = by_task(&mut raw, &id).await;
    assert_eq!(seen(&native, "taskId", "createdAt"), expected("cancelled"));
    assert_eq!(native["lastUpdatedAt"], ended["finished_at"]);
    assert_eq!(by_resource(&mut raw, &id).await, ended);
    assert_eq!(
        call(&mut raw, "task_status", json!({"task_id": id})).await,
        ended
    );
    let listed = by_list(&mut raw).await;
    for time in ["created_at", "started_at", "finished_at", "expires_at"] {
        assert_eq!(listed[time], ended[time], "{time}");
    }
}

/// The other way round: created by the protocol, followed by plain tools.
#[tokio::test(start_paused = true)]
async fn a_native_task_can_be_followed_by_the_family() {
    let builder = builder()
        .surface([Surface::Family, Surface::Native])
        .single_user();
    let server = TestServer::start(builder).await;
    let mut raw = Raw::modern(server.tools().clone(), &declaring());
    let call_nap = json!({"name": "nap", "arguments": {"millis": 5_000}});
    let created = raw.request("tools/call", call_nap).await;
    let id = created["result"]["taskId"]
        .as_str()
        .expect("an id")
        .to_owned();
    let listed = by_list(&mut raw).await;
    assert_eq!(listed["task_id"], json!(id));
    assert_eq!(listed["created_at"], created["result"]["createdAt"]);
    let wait = json!({"task_id": id, "wait_seconds": 50});
    let ended = call(&mut raw, "nap_status", wait).await;
    assert_eq!(ended["status"], "completed");
    let native = by_task(&mut raw, &id).await;
    assert_eq!(native["result"]["structuredContent"], ended["result"]);
    assert_eq!(native["lastUpdatedAt"], ended["finished_at"]);
}
