//! Replicas of different versions on one store.

use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, AsyncToolsBuilder, MemoryStore, Registry, async_tool};
use serde_json::json;

mod old {
    use async_tool::async_tool;

    /// Greet somebody.
    #[async_tool]
    pub(super) async fn greet(name: String) -> String {
        format!("Hello {name}")
    }
}

mod new {
    use async_tool::async_tool;

    /// Greet somebody.
    #[async_tool]
    pub(super) async fn greet(name: String, #[serde(default)] title: String) -> String {
        format!("Hello {title}{name}")
    }
}

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
    assert!(
        message.contains("one that has the tool `recent`"),
        "{message}"
    );
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

#[tokio::test(start_paused = true)]
async fn versions_execute_each_others_calls_as_far_as_they_can_read_them() {
    let store = MemoryStore::new();
    let server = |registry: Registry, slots: usize| {
        let builder = AsyncTools::builder().registry(registry);
        TestServer::start(builder.store(store.clone()).slots(slots))
    };
    let (old, new) = (
        || Registry::new().with(old::GreetTool),
        || Registry::new().with(new::GreetTool),
    );
    let plain = json!({"name": "Ann"});
    let titled = json!({"name": "Ann", "title": "Dr. "});

    let (old_front, new_front) = (server(old(), 0).await, server(new(), 0).await);
    let old_worker = server(old(), 1).await;
    let task = new_front.call("greet_initiate", plain.clone()).await;
    let end = new_front.finish("greet", task.id()).await;
    assert_eq!(end["result"], "Hello Ann", "{}", end.text);
    let task = new_front.call("greet_initiate", titled.clone()).await;
    let end = new_front.finish("greet", task.id()).await;
    assert_eq!(end.error_code(), Some("incompatible_arguments"));
    old_worker.tools().shutdown().await;

    let _new_worker = server(new(), 1).await;
    let task = old_front.call("greet_initiate", plain).await;
    let end = old_front.finish("greet", task.id()).await;
    assert_eq!(end["result"], "Hello Ann", "{}", end.text);
    let task = new_front.call("greet_initiate", titled).await;
    let end = old_front.finish("greet", task.id()).await;
    assert_eq!(end["result"], "Hello Dr. Ann", "{}", end.text);
}
