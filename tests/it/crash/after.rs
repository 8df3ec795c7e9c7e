//! What must hold once nobody is killed any more.

use std::collections::HashSet;
use std::time::Duration;

use async_tool::store::OpenStore;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::callers::Accepted;
use super::client::Client;

/// A new task of each tool is completed.
pub(crate) async fn works(client: &Client, end: Instant) {
    for (tool, arguments, result) in [
        ("once", json!({}), 14),
        ("staged", json!({}), 34),
        ("flaky", json!({"failures": 1}), 21),
        ("keyed", json!({"key": "key-0"}), 35),
        ("keyed", json!({"key": "key-1"}), 35),
        ("keyed", json!({"key": "key-2"}), 35),
    ] {
        let mut arguments: Value = arguments;
        arguments["number"] = json!(7);
        arguments["millis"] = json!(1);
        let task = client.ask(&format!("{tool}_initiate"), arguments).await;
        let end = client.finish(tool, task.id(), end).await;
        assert_eq!(end["result"], result, "{}", end.text);
    }
}

/// What is listed has ended, also what nobody was told of, and nothing is
/// missing.
pub(crate) async fn check_list(client: &Client, accepted: &[Accepted], end: Instant) {
    let mut listed = HashSet::new();
    let mut arguments = json!({"limit": 100});
    loop {
        let page = client.ask("task_list", arguments.clone()).await;
        for task in page["tasks"].as_array().expect("a page") {
            let id = task["task_id"].as_str().expect("an id");
            assert!(listed.insert(id.to_owned()), "listed twice: {task}");
            if task["done"] != true {
                let tool = task["tool"].as_str().expect("a tool");
                client.finish(tool, id, end).await;
            }
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => arguments["cursor"] = json!(cursor),
            None => break,
        }
    }
    for task in accepted {
        assert!(listed.contains(&task.id), "not listed: {task:?}");
    }
}

/// Nobody owns anything, so that there is no session: the next thing to happen
/// is the end of somebody's retention.
pub(crate) async fn check_sessions(store: &dyn OpenStore, namespace: &str) {
    let store = store.open(namespace).await.expect("opens");
    let reaped = store.reap(100).await.expect("reaps");
    let next = reaped.next.expect("retention ends");
    assert!(next > Duration::from_secs(60 * 60), "{reaped:?}");
    assert!(!reaped.ready, "{reaped:?}");
}
