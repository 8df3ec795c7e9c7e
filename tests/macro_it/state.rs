//! What is borrowed comes from the server.

use std::sync::atomic::{AtomicU32, Ordering};

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, Progress, Registry, TaskContext, async_tool};
use serde_json::json;

#[derive(Default)]
struct Counter(AtomicU32);

struct Greeting(&'static str);

/// An alias is the same type, and so the same state.
type Words = Greeting;

#[async_tool]
async fn count(
    by: u32,
    Greeting(greeting): &Greeting,
    progress: &Progress,
    words: &Words,
    counter: &Counter,
    task: &TaskContext,
) -> String {
    progress.message(words.0);
    assert_eq!(task.progress().state().message.as_deref(), Some(words.0));
    let before = counter.0.fetch_add(by, Ordering::Relaxed);
    format!("{greeting}, {}", before + by)
}

#[tokio::test]
async fn each_type_finds_its_value_whatever_the_order() {
    let builder = AsyncTools::builder()
        .registry(Registry::new().with(CountTool))
        .state(Counter::default())
        .state(Greeting("hello"));
    let server = TestServer::start(builder).await;
    for expected in ["hello, 2", "hello, 4"] {
        let task = server.call("count_initiate", json!({ "by": 2 })).await;
        let end = server.finish("count", task.id()).await;
        assert_eq!(end["result"], expected);
    }
}

#[tokio::test]
async fn a_type_that_nobody_gave_stops_the_server_from_starting() {
    let builder = AsyncTools::builder()
        .registry(Registry::new().with(CountTool))
        .state(Greeting("hello"));
    let error = builder.build().await.expect_err("no counter").to_string();
    assert!(error.contains("`count`"), "{error}");
    assert!(error.contains("Counter"), "{error}");
    assert!(!error.contains("Greeting"), "{error}");
}
