//! Tasks as resources.

use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{AsyncToolsBuilder, Principal};
use rmcp::model::{ErrorCode, PaginatedRequestParams, ReadResourceRequestParams, ResourceContents};
use rmcp::service::ServiceError;
use serde_json::{Value, json};

use crate::tools::{builder, start};

fn uri(id: &str) -> String {
    format!("resource://tasks/{id}")
}

/// The text of a resource; the error's code if there is none.
async fn read(server: &TestServer, uri: &str) -> Result<Value, ErrorCode> {
    let request = ReadResourceRequestParams::new(uri);
    match server.peer().read_resource(request).await {
        Ok(read) => {
            let [
                ResourceContents::TextResourceContents {
                    uri: of,
                    mime_type,
                    text,
                    ..
                },
            ] = &read.contents[..]
            else {
                panic!("one text: {read:?}")
            };
            assert_eq!(
                (of.as_str(), mime_type.as_deref()),
                (uri, Some("application/json"))
            );
            Ok(serde_json::from_str(text).expect("JSON"))
        }
        Err(ServiceError::McpError(error)) => Err(error.code),
        Err(error) => panic!("{error}"),
    }
}

/// Everybody is who their client says; a real server asks a verified token.
fn by_client_name() -> AsyncToolsBuilder {
    builder().principal(|request| {
        let client = request.context().client_info()?;
        (client.name != "nobody").then(|| Principal::new(client.name))
    })
}

#[tokio::test(start_paused = true)]
async fn there_is_one_template() {
    let server = start().await;
    let templates = server.peer().list_all_resource_templates().await;
    assert_eq!(
        serde_json::to_value(templates.expect("answered")).expect("JSON"),
        json!([{
            "uriTemplate": "resource://tasks/{task_id}",
            "name": "task",
            "description": "A task: status, progress, result. Subscribe to hear of changes.",
            "mimeType": "application/json",
        }])
    );
}

#[tokio::test(start_paused = true)]
async fn a_resource_is_what_the_status_tool_answers() {
    let server = start().await;
    let task = server.call("work_initiate", json!({"units": 20})).await;
    for _ in 0..2 {
        let status = server
            .call("work_status", json!({"task_id": task.id()}))
            .await;
        assert_eq!(read(&server, &uri(task.id())).await, Ok(status.structure));
        server.finish("work", task.id()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_there_is_not_cannot_be_read() {
    let server = start().await;
    let short = server
        .call("limited_initiate", json!({"millis": 1, "good": true}))
        .await;
    server.finish("limited", short.id()).await;
    // Its retention is a minute.
    tokio::time::sleep(Duration::from_secs(90)).await;
    for unknown in [
        uri(&"0".repeat(32)),
        uri("x"),
        uri(""),
        uri(short.id()),
        "file:///x".into(),
    ] {
        assert_eq!(
            read(&server, &unknown).await,
            Err(ErrorCode::RESOURCE_NOT_FOUND),
            "{unknown}"
        );
    }
}

#[tokio::test]
async fn foreign_tasks_cannot_be_read_nor_found() {
    let tools = by_client_name().build().await.expect("builds");
    let alice = TestServer::connect_as(tools.clone(), "alice").await;
    let bob = TestServer::connect_as(tools.clone(), "bob").await;
    let nobody = TestServer::connect_as(tools, "nobody").await;
    let task = alice.call("nap_initiate", json!({"millis": 60_000})).await;
    let uri = uri(task.id());
    assert!(read(&alice, &uri).await.is_ok());
    for other in [&bob, &nobody] {
        assert_eq!(read(other, &uri).await, Err(ErrorCode::RESOURCE_NOT_FOUND));
        let listed = other.peer().list_all_resources().await.expect("answered");
        assert_eq!(listed, []);
    }
    let listed = alice.peer().list_all_resources().await.expect("answered");
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn a_required_principal_is_required() {
    let tools = by_client_name()
        .require_principal()
        .build()
        .await
        .expect("builds");
    let nobody = TestServer::connect_as(tools, "nobody").await;
    let read = read(&nobody, &uri(&"0".repeat(32))).await;
    assert_eq!(read, Err(ErrorCode::INVALID_REQUEST));
    let listed = nobody.peer().list_all_resources().await;
    let Err(ServiceError::McpError(error)) = listed else {
        panic!("listed: {listed:?}")
    };
    assert_eq!(error.code, ErrorCode::INVALID_REQUEST);
}

#[tokio::test(start_paused = true)]
async fn a_list_is_paged_from_the_newest_to_the_oldest() {
    let server = TestServer::start(builder().single_user()).await;
    let mut created = Vec::new();
    for _ in 0..60 {
        let task = server.call("quick_initiate", json!({"millis": 1})).await;
        created.push(uri(task.id()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    created.reverse();
    let first = server.peer().list_resources(None).await.expect("a page");
    assert_eq!(first.resources.len(), 50);
    assert!(first.next_cursor.is_some());
    let listed = server.peer().list_all_resources().await.expect("all pages");
    let uris: Vec<_> = listed.iter().map(|resource| resource.uri.clone()).collect();
    assert_eq!(uris, created);
    let newest = serde_json::to_value(&listed[0]).expect("JSON");
    assert_eq!(
        newest,
        json!({
            "uri": created[0],
            "name": created[0].strip_prefix("resource://tasks/"),
            "title": "quick: completed",
            "mimeType": "application/json",
        })
    );

    let odd = PaginatedRequestParams::default().with_cursor(Some("yesterday".to_owned()));
    let refused = server.peer().list_resources(Some(odd)).await;
    let Err(ServiceError::McpError(error)) = refused else {
        panic!("listed: {refused:?}")
    };
    assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
}

#[tokio::test(start_paused = true)]
async fn without_knowing_whose_nothing_is_listed() {
    let server = start().await;
    let task = server.call("nap_initiate", json!({"millis": 1})).await;
    let listed = server.peer().list_all_resources().await.expect("answered");
    assert_eq!(listed, []);
    assert!(
        read(&server, &uri(task.id())).await.is_ok(),
        "by its id it can be read"
    );
}
