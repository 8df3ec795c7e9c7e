//! Queued tasks whose tool no worker has.

use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, AsyncToolsBuilder, MemoryStore, Registry, async_tool};
use serde_json::json;

/// Is there in the new version.
#[async_tool]
async fn recent() -> u32 {
    1
}

/// Is there in all versions.
#[async_tool(concurrency = 1)]
async fn lasting(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn version(registry: Registry, store: &MemoryStore) -> AsyncToolsBuilder {
    AsyncTools::builder()
        .registry(registry.with(LastingTool))
        .store(store.clone())
        .single_user()
}

#[tokio::test(start_paused = true)]
async fn a_task_that_no_worker_takes_says_so() {
    let store = MemoryStore::new();
    let new = || Registry::new().with(RecentTool);
    let front = TestServer::start(version(new(), &store).slots(0)).await;
    let old = TestServer::start(version(Registry::new(), &store)).await;
    let task = front.call("recent_initiate", json!({})).await;
    let status = json!({"task_id": task.id()});
    tokio::time::sleep(Duration::from_secs(10)).await;
    let early = front.call("recent_status", status.clone()).await;
    assert_eq!(early["message"], serde_json::Value::Null);

    tokio::time::sleep(Duration::from_secs(10)).await;
    let late = front.call("recent_status", status.clone()).await;
    assert_eq!(late["status"], "queued");
    let message = late["message"].as_str().expect("there is a message");
    assert!(message.contains("that has the tool `recent`"), "{message}");
    let listed = old.call("task_list", json!({})).await;
    assert_eq!(listed["tasks"][0]["message"], late["message"]);

    let _worker = TestServer::start(version(new(), &store)).await;
    let end = front.finish("recent", task.id()).await;
    assert_eq!(end["result"], 1, "{}", end.text);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_others_of_its_tool_does_not() {
    let store = MemoryStore::new();
    let front = TestServer::start(version(Registry::new(), &store).slots(0)).await;
    let _worker = TestServer::start(version(Registry::new(), &store)).await;
    front
        .call("lasting_initiate", json!({"seconds": 100}))
        .await;
    let second = front.call("lasting_initiate", json!({"seconds": 1})).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let status = front
        .call("lasting_status", json!({"task_id": second.id()}))
        .await;
    assert_eq!(status["status"], "queued");
    assert_eq!(status["message"], serde_json::Value::Null);
}
