//! Servers whose tasks are kept in a file: restarts, and several at once. In
//! real time, since the file is.

use std::path::Path;
use std::time::{Duration, Instant};

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, AsyncToolsBuilder, Registry, SqliteStore, async_tool, store};
use serde_json::json;
use tempfile::TempDir;

use crate::tools::builder;

/// Give back a lot.
#[async_tool]
async fn bulky() -> String {
    "x".repeat(3 * 1024 * 1024)
}

/// Short, so that the tests are.
const LEASE: Duration = Duration::from_millis(300);

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Each call opens the file anew, as another process would.
async fn on(directory: &Path) -> AsyncToolsBuilder {
    let store = SqliteStore::open(directory.join("tasks.db")).await;
    builder()
        .store(store.expect("it opens"))
        .lease(LEASE)
        .single_user()
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_3_an_acknowledged_task_is_found_by_the_next_process() {
    let directory = directory();
    let first = TestServer::start(on(directory.path()).await.slots(0)).await;
    let keyed = json!({"millis": 20, "idempotency_key": "k"});
    let queued = first.call("nap_initiate", keyed.clone()).await;
    assert_eq!(queued["status"], "queued");
    drop(first);

    let second = TestServer::start(on(directory.path()).await).await;
    let again = second.call("nap_initiate", keyed).await;
    assert_eq!(again.id(), queued.id());
    let end = second.finish("nap", queued.id()).await;
    assert_eq!(end["result"]["millis"], 20, "{}", end.text);
    drop(second);

    let third = TestServer::start(on(directory.path()).await).await;
    let arguments = json!({"task_id": queued.id()});
    let kept = third.call("nap_status", arguments).await;
    assert_eq!(kept.structure, end.structure);
    let listed = third.call("task_list", json!({})).await;
    assert_eq!(listed["tasks"][0]["task_id"], queued.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_when_the_process_died_is_interrupted() {
    let directory = directory();
    let first = TestServer::start(on(directory.path()).await).await;
    let task = first.call("nap_initiate", json!({"millis": 60_000})).await;
    // It is queued first if the worker looks for old tasks just then.
    let mut seen = json!({"status": task["status"], "revision": task["revision"]});
    while seen["status"] != "working" {
        let change = json!({
            "task_id": task.id(), "wait_seconds": 10, "until": "step", "since": seen["revision"],
        });
        seen = first.call("nap_status", change).await.structure;
        assert_eq!(seen["done"], false, "{seen}");
    }
    drop(first);
    let second = TestServer::start(on(directory.path()).await).await;
    let end = second.finish("nap", task.id()).await;
    assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_answers_at_once_for_what_a_worker_elsewhere_does() {
    let directory = directory();
    let worker = TestServer::start(on(directory.path()).await).await;
    let server = TestServer::start(on(directory.path()).await.slots(0)).await;
    let task = server.call("nap_initiate", json!({"millis": 300})).await;
    let end = server.finish("nap", task.id()).await;
    assert_eq!(end["status"], "completed", "{}", end.text);

    let long = server.call("nap_initiate", json!({"millis": 60_000})).await;
    let arguments = json!({"task_id": long.id(), "until": "step", "since": 1, "wait_seconds": 10});
    let running = server.call("nap_status", arguments).await;
    assert_eq!(running["status"], "working", "{}", running.text);
    let started = Instant::now();
    let cancelled = server
        .call(
            "nap_cancel",
            json!({"task_id": long.id(), "reason": "enough"}),
        )
        .await;
    assert_eq!(cancelled["status"], "cancelled", "{}", cancelled.text);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "before cancel gives up waiting"
    );
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_of_one_file_are_apart() {
    let directory = directory();
    let start = async |namespace: &str| {
        TestServer::start(on(directory.path()).await.namespace(namespace)).await
    };
    let (ours, theirs) = (start("ours").await, start("theirs").await);
    let keyed = json!({"millis": 10, "idempotency_key": "k"});
    let task = ours.call("nap_initiate", keyed.clone()).await;
    let other = theirs.call("nap_initiate", keyed).await;
    assert_ne!(task.id(), other.id());
    ours.finish("nap", task.id()).await;
    let unknown = theirs
        .call("nap_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(unknown.error_code(), Some("task_not_found"));
    let listed = theirs.call("task_list", json!({})).await;
    assert_eq!(listed["tasks"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_result_survives() {
    let directory = directory();
    let store = SqliteStore::open(directory.path().join("tasks.db")).await;
    let builder = AsyncTools::builder()
        .registry(Registry::new().with(BulkyTool))
        .store(store.expect("it opens"));
    let server = TestServer::start(builder).await;
    let task = server.call("bulky_initiate", json!({})).await;
    let end = server.finish("bulky", task.id()).await;
    assert_eq!(end["result"].as_str().map(str::len), Some(3 * 1024 * 1024));
}

#[tokio::test]
async fn a_store_is_chosen_by_its_url() {
    let directory = directory();
    let path = directory.path().join("by-url.db");
    let url = format!("sqlite:{}", path.display());
    let opened = store::from_url(&url).await.expect("it opens");
    let server = TestServer::start(builder().store(opened)).await;
    let task = server.call("nap_initiate", json!({"millis": 1})).await;
    server.finish("nap", task.id()).await;
    assert!(path.exists());
    assert!(store::from_url("memory:").await.is_ok());
    for (url, problem) in [
        ("tasks.db", "has no scheme"),
        ("mysql://user:secret@host/db", "unknown scheme `mysql:`"),
        ("memory:tasks", "nothing after the colon"),
        ("sqlite:", "empty"),
    ] {
        let error = store::from_url(url).await.err().expect("refused");
        assert!(error.to_string().contains(problem), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
