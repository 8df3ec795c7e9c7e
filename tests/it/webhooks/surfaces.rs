//! Where callers say that they want to be told.

use async_tool::{AsyncTools, Surface};

use super::*;
use crate::native::declaring;
use crate::raw::Raw;

async fn initiate_schema(server: &TestServer) -> Value {
    let tools = server.peer().list_all_tools().await.expect("listed");
    let initiate = tools.iter().find(|tool| tool.name == "nap_initiate");
    let schema = initiate.expect("published").input_schema.as_ref().clone();
    Value::Object(schema)
}

#[tokio::test]
async fn the_schema_has_the_property_where_hosts_are_allowed() {
    let receiver = Receiver::accepting().await;
    let server = TestServer::start(builder().webhooks(callbacks(&receiver))).await;
    let schema = initiate_schema(&server).await;
    assert_eq!(schema["properties"]["callback_url"]["type"], "string");
    assert_eq!(schema["properties"]["callback_url"]["format"], "uri");

    let endpoints = local().endpoint(Endpoint::new("ops", receiver.url()));
    for builder in [builder(), builder().webhooks(endpoints)] {
        let server = TestServer::start(builder).await;
        let schema = initiate_schema(&server).await;
        assert!(schema["properties"]["millis"].is_object());
        assert_eq!(schema["properties"].get("callback_url"), None);
        let arguments = json!({"millis": 0, "callback_url": receiver.url()});
        let refused = server.call("nap_initiate", arguments).await;
        assert_eq!(
            refused.error_code(),
            Some("invalid_arguments"),
            "{}",
            refused.text
        );
        assert!(refused.text.contains("callback_url"), "{}", refused.text);
    }
}

fn native(hooks: Option<Webhooks>) -> async_tool::AsyncToolsBuilder {
    let builder: async_tool::AsyncToolsBuilder =
        builder().surface([Surface::Family, Surface::Native]);
    match hooks {
        Some(hooks) => builder.webhooks(hooks),
        None => builder,
    }
}

/// A native call that wants to be told at a URL.
async fn call(tools: &AsyncTools, url: &Value) -> Value {
    let mut raw = Raw::modern(tools.clone(), &declaring());
    let call = json!({
        "name": "nap", "arguments": {"millis": 0},
        "_meta": {"async-tool/callback_url": url},
    });
    raw.request("tools/call", call).await
}

#[tokio::test]
async fn a_native_call_says_it_in_its_meta() {
    let receiver = Receiver::accepting().await;
    let server = TestServer::start(native(Some(callbacks(&receiver)))).await;
    let created = call(server.tools(), &json!(receiver.url())).await;
    let id = created["result"]["taskId"].as_str().expect("a task");
    let delivery = receiver.count(1).await.remove(0);
    assert_eq!(delivery.task(), id);
    for (url, says) in [
        (
            json!("https://elsewhere.example.com/"),
            "this server allows",
        ),
        (json!(7), "must be a URL"),
    ] {
        let refused = call(server.tools(), &url).await;
        let text = refused["result"]["content"][0]["text"]
            .as_str()
            .expect("text");
        assert!(text.contains("/_meta/async-tool/callback_url"), "{text}");
        assert!(text.contains(says), "{text}");
    }
}

#[tokio::test]
async fn a_native_call_is_refused_where_nobody_is_called_back() {
    let receiver = Receiver::accepting().await;
    let endpoints = local().endpoint(Endpoint::new("ops", receiver.url()));
    for hooks in [None, Some(endpoints)] {
        let server = TestServer::start(native(hooks)).await;
        let refused = call(server.tools(), &json!(receiver.url())).await;
        let text = refused["result"]["content"][0]["text"]
            .as_str()
            .expect("text");
        assert!(text.contains("calls nobody back"), "{text}");
    }
    assert!(receiver.deliveries().is_empty());
}
