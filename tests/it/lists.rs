//! `task_list`.

use std::collections::HashSet;
use std::time::Duration;

use async_tool::Principal;
use async_tool::testing::TestServer;
use serde_json::{Value, json};

use crate::tools::{builder, start};

fn ids(page: &Value) -> Vec<String> {
    page["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|task| task["task_id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn there_is_a_list_only_where_it_is_known_whose() {
    let named = |server: &TestServer| {
        let tools = server.tools().tools();
        tools.iter().any(|tool| tool.name == "task_list")
    };
    assert!(!named(&start().await));
    assert!(named(&TestServer::start(builder().single_user()).await));
    let with_principals = builder().principal(|_| None);
    let server = TestServer::start(with_principals).await;
    assert!(named(&server));
    let refused = server.call("task_list", json!({})).await;
    assert_eq!(refused.error_code(), Some("unauthenticated"));
}

#[tokio::test(start_paused = true)]
async fn pages_go_from_the_newest_to_the_oldest() {
    let server = TestServer::start(builder().single_user()).await;
    let mut created = Vec::new();
    for millis in 0..25 {
        let task = server.call("nap_initiate", json!({"millis": millis})).await;
        created.push(task.id().to_owned());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    created.reverse();
    let mut listed = Vec::new();
    let mut arguments = json!({"limit": 10});
    loop {
        let page = server.call("task_list", arguments.clone()).await;
        listed.extend(ids(&page.structure));
        match page["next_cursor"].as_str() {
            Some(cursor) => arguments["cursor"] = cursor.into(),
            None => break,
        }
    }
    assert_eq!(listed, created);
    let default = server.call("task_list", json!({})).await;
    assert_eq!(ids(&default.structure).len(), 20);
}

#[tokio::test(start_paused = true)]
async fn lists_filter_by_status_and_tool() {
    let server = TestServer::start(builder().single_user()).await;
    let running = server.call("nap_initiate", json!({"millis": 60_000})).await;
    let ended = server.call("quick_initiate", json!({"millis": 1})).await;
    let failed = server.call("odd_initiate", json!({"how": "error"})).await;
    server.finish("odd", failed.id()).await;
    for (filter, expected) in [
        (json!({"status": "working"}), vec![&running]),
        (json!({"status": "failed"}), vec![&failed]),
        (json!({"tool": "quick"}), vec![&ended]),
        (json!({"tool": "quick", "status": "failed"}), vec![]),
    ] {
        let page = server.call("task_list", filter.clone()).await;
        let expected: Vec<_> = expected.iter().map(|task| task.id().to_owned()).collect();
        assert_eq!(ids(&page.structure), expected, "{filter}");
    }
    let page = server.call("task_list", json!({"tool": "quick"})).await;
    let task = &page["tasks"][0];
    assert_eq!(
        (&task["tool"], &task["status"]),
        (&json!("quick"), &json!("completed"))
    );
    assert_eq!(
        task["result"],
        Value::Null,
        "results are for the status tools"
    );
}

#[tokio::test(start_paused = true)]
async fn everybody_sees_their_own_tasks() {
    let builder = builder().principal(|request| {
        let client = request.context().peer.peer_info()?;
        Some(Principal::new(client.client_info.name.clone()))
    });
    let ann = TestServer::start(builder).await;
    let ben = TestServer::connect_as(ann.tools().clone(), "ben").await;
    let mut own = HashSet::new();
    for _ in 0..3 {
        let task = ben.call("quick_initiate", json!({"millis": 1})).await;
        own.insert(task.id().to_owned());
        ann.call("quick_initiate", json!({"millis": 1})).await;
    }
    let page = ben.call("task_list", json!({})).await;
    assert_eq!(
        ids(&page.structure).into_iter().collect::<HashSet<_>>(),
        own
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_says_what_is_wrong_with_its_arguments() {
    let server = TestServer::start(builder().single_user()).await;
    for (arguments, path) in [
        (json!({"status": "running"}), "/status"),
        (json!({"tool": "nup"}), "/tool"),
        (json!({"limit": 0}), "/limit"),
        (json!({"limit": 101}), "/limit"),
        (json!({"cursor": "yesterday"}), "/cursor"),
    ] {
        let refused = server.call("task_list", arguments.clone()).await;
        assert_eq!(
            refused.error_code(),
            Some("invalid_arguments"),
            "{arguments}"
        );
        assert_eq!(refused["error"]["details"]["problems"][0]["path"], path);
    }
}
