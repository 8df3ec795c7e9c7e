//! Hearing of tasks: resources in both eras, `taskIds` of 2026-07-28.

use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, Principal};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::native::{builder, create, declaring, start};
use crate::raw::{Raw, normalised};
use crate::raw_http::{Http, Mode, serve};
use crate::tools;

fn uri(id: &str) -> String {
    format!("resource://tasks/{id}")
}

fn is(method: &str) -> impl Fn(&Value) -> bool {
    move |message| message["method"] == method
}

async fn initiate(raw: &mut Raw, tool: &str, arguments: Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    let started = raw.request("tools/call", params).await;
    let id = started["result"]["structuredContent"]["task_id"].as_str();
    id.unwrap_or_else(|| panic!("no id: {started}")).to_owned()
}

async fn listen(raw: &mut Raw, notifications: Value) -> u64 {
    let params = json!({ "notifications": notifications });
    raw.begin("subscriptions/listen", params).await
}

/// Servers of tools that are no tasks of the protocol's own.
async fn plain() -> AsyncTools {
    TestServer::start(tools::builder()).await.tools().clone()
}

#[tokio::test(start_paused = true)]
async fn a_legacy_session_hears_of_changes_at_most_once_a_second_and_always_of_the_last() {
    let (mut raw, initialized) = Raw::legacy(plain().await, &json!({})).await;
    let capabilities = &initialized["result"]["capabilities"];
    assert_eq!(capabilities["resources"], json!({"subscribe": true}));
    // Progress each second, a step each ten.
    let id = initiate(&mut raw, "work_initiate", json!({"units": 10})).await;
    let subscribed = raw
        .request("resources/subscribe", json!({"uri": uri(&id)}))
        .await;
    assert_eq!(subscribed, json!({"jsonrpc": "2.0", "id": 3, "result": {}}));
    // A second time is no second subscription.
    raw.request("resources/subscribe", json!({"uri": uri(&id)}))
        .await;
    let started = Instant::now();
    let mut times = Vec::new();
    loop {
        let updated = raw.until(is("notifications/resources/updated")).await;
        assert_eq!(
            updated,
            json!({
                "jsonrpc": "2.0", "method": "notifications/resources/updated",
                "params": {"uri": uri(&id)},
            })
        );
        times.push(started.elapsed());
        let read = raw
            .request("resources/read", json!({"uri": uri(&id)}))
            .await;
        let text = read["result"]["contents"][0]["text"]
            .as_str()
            .expect("text");
        let snapshot: Value = serde_json::from_str(text).expect("JSON");
        if snapshot["done"] == true {
            break;
        }
    }
    assert!(times.len() > 20, "{times:?}");
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(990), "{times:?}");
    }
    let last = times.last().expect("some").as_secs_f64();
    assert!((29.0..32.0).contains(&last), "{last}");
}

#[tokio::test(start_paused = true)]
async fn who_unsubscribes_hears_nothing_more() {
    let tools = plain().await;
    let (mut raw, _) = Raw::legacy(tools.clone(), &json!({})).await;
    let id = initiate(&mut raw, "nap_initiate", json!({"millis": 5_000})).await;
    raw.request("resources/subscribe", json!({"uri": uri(&id)}))
        .await;
    let left = raw
        .request("resources/unsubscribe", json!({"uri": uri(&id)}))
        .await;
    assert_eq!(left["result"], json!({}));
    tokio::time::sleep(Duration::from_secs(20)).await;
    raw.request("ping", json!({})).await;
    assert!(!raw.has_seen(is("notifications/resources/updated")));
    // What was never begun can be left too.
    let left = raw
        .request(
            "resources/unsubscribe",
            json!({"uri": "resource://tasks/x"}),
        )
        .await;
    assert_eq!(left["result"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn there_is_a_limit_for_a_connection_and_one_for_all() {
    let server = TestServer::start(tools::builder().queue(2000).max_subscriptions(300)).await;
    let mut ids = Vec::new();
    for _ in 0..301 {
        let task = server
            .call("nap_initiate", json!({"millis": 3_600_000}))
            .await;
        ids.push(task.id().to_owned());
    }
    let (mut first, _) = Raw::legacy(server.tools().clone(), &json!({})).await;
    let (mut second, _) = Raw::legacy(server.tools().clone(), &json!({})).await;
    for (raw, from, room) in [(&mut first, 0, 256), (&mut second, 256, 44)] {
        for (at, id) in ids[from..].iter().enumerate() {
            let subscribed = raw
                .request("resources/subscribe", json!({"uri": uri(id)}))
                .await;
            if at < room {
                assert_eq!(subscribed["result"], json!({}), "{at}");
            } else {
                assert_eq!(subscribed["error"]["code"], -32603, "{subscribed}");
                break;
            }
        }
    }
    // Those of a connection end with it.
    drop(first);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let subscribed = second
        .request("resources/subscribe", json!({"uri": uri(&ids[300])}))
        .await;
    assert_eq!(subscribed["result"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn what_there_is_not_cannot_be_subscribed_to() {
    let (mut raw, _) = Raw::legacy(plain().await, &json!({})).await;
    let unknown = uri(&"0".repeat(32));
    let refused = raw
        .request("resources/subscribe", json!({"uri": unknown}))
        .await;
    assert_eq!(
        refused["error"],
        json!({
            "code": -32002, "message": "no task has this URI, or its retention is over",
            "data": {"uri": unknown},
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_of_resources_on_the_wire() {
    let mut raw = Raw::modern(plain().await, &json!({}));
    let id = initiate(&mut raw, "nap_initiate", json!({"millis": 5_000})).await;
    let asked = json!({
        "toolsListChanged": true,
        "resourceSubscriptions": [uri(&"0".repeat(32)), uri(&id), "file:///x"],
    });
    let listen = listen(&mut raw, asked).await;
    assert_eq!(
        raw.next().await,
        json!({
            "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
            "params": {
                "notifications": {"resourceSubscriptions": [uri(&id)]},
                "_meta": {"io.modelcontextprotocol/subscriptionId": listen},
            },
        })
    );
    let started = Instant::now();
    assert_eq!(
        raw.next().await,
        json!({
            "jsonrpc": "2.0", "method": "notifications/resources/updated",
            "params": {
                "uri": uri(&id),
                "_meta": {"io.modelcontextprotocol/subscriptionId": listen},
            },
        })
    );
    assert!(
        started.elapsed() >= Duration::from_millis(4_900),
        "{:?}",
        started.elapsed()
    );
    let unknown = raw
        .request("resources/read", json!({"uri": uri(&"0".repeat(32))}))
        .await;
    assert_eq!(unknown["error"]["code"], -32602);
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_of_tasks_on_the_wire() {
    let tools = start(builder()).await;
    let mut raw = Raw::modern(tools.clone(), &declaring());
    let id = create(&mut raw, "nap", json!({"seconds": 100})).await;
    let unknown = "0".repeat(32);
    let listen = listen(&mut raw, json!({"taskIds": [id, unknown, "x", 7]})).await;
    let meta = json!({"io.modelcontextprotocol/subscriptionId": listen});
    assert_eq!(
        raw.next().await,
        json!({
            "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
            "params": {"notifications": {"taskIds": [id]}, "_meta": meta},
        })
    );
    // What it is now, and then each change.
    let first = raw.next().await;
    assert_eq!(first["params"]["status"], "working", "{first}");
    let now = raw.request("tasks/get", json!({"taskId": id})).await;
    let mut got = now["result"].clone();
    got.as_object_mut().expect("an object").remove("resultType");
    got["_meta"] = meta.clone();
    assert_eq!(first["params"], got, "what tasks/get answers");
    let mut ended = raw
        .until(|message| message["params"]["status"] == "completed")
        .await;
    let mut got = raw.request("tasks/get", json!({"taskId": id})).await["result"].clone();
    got.as_object_mut().expect("an object").remove("resultType");
    got["_meta"] = meta.clone();
    assert_eq!(ended["params"], got, "what tasks/get would answer");
    ended["params"]["ttlMs"] = json!("TTL");
    assert_eq!(
        normalised(ended),
        json!({
            "jsonrpc": "2.0", "method": "notifications/tasks",
            "params": {
                "_meta": meta,
                "taskId": "TASK", "status": "completed", "createdAt": "TIME",
                "lastUpdatedAt": "TIME", "ttlMs": "TTL",
                "result": {
                    "resultType": "complete",
                    "content": [{"type": "text", "text": "{\"seconds\":100}"}],
                    "structuredContent": {"seconds": 100}, "isError": false,
                },
            },
        })
    );
    // The server ends, and the subscription with it.
    tools.shutdown().await;
    let result = raw.answer(listen).await;
    let info = &result["result"]["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(info["name"], "async-tool");
    let mut meta = meta;
    meta["io.modelcontextprotocol/serverInfo"] = info.clone();
    assert_eq!(
        result,
        json!({
            "jsonrpc": "2.0", "id": listen,
            "result": {"resultType": "complete", "_meta": meta},
        })
    );
}

#[tokio::test(start_paused = true)]
async fn who_has_not_declared_tasks_cannot_listen_to_them() {
    let tools = start(builder()).await;
    let mut raw = Raw::modern(tools, &json!({"elicitation": {}}));
    let listening = listen(&mut raw, json!({"taskIds": ["x"]})).await;
    assert_eq!(
        raw.answer(listening).await["error"],
        json!({
            "code": -32021, "message": "Missing required client capability",
            "data": {"requiredCapabilities": {
                "extensions": {"io.modelcontextprotocol/tasks": {}},
            }},
        })
    );
    // Nor can it, by asking for both, get the other half.
    let both = json!({"taskIds": ["x"], "resourceSubscriptions": [uri("x")]});
    let listening = listen(&mut raw, both).await;
    assert_eq!(raw.answer(listening).await["error"]["code"], -32021);
    assert!(!raw.has_seen(is("notifications/subscriptions/acknowledged")));
    // Without them it can listen.
    listen(&mut raw, json!({"taskIds": []})).await;
    let acknowledged = raw
        .until(is("notifications/subscriptions/acknowledged"))
        .await;
    assert_eq!(acknowledged["params"]["notifications"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_that_was_not_asked_for_nor_after_a_cancel() {
    let tools = start(builder()).await;
    let mut raw = Raw::modern(tools, &declaring());
    let quiet = create(&mut raw, "nap", json!({"seconds": 5})).await;
    let heard = create(&mut raw, "nap", json!({"seconds": 10})).await;
    let listening = listen(&mut raw, json!({"taskIds": [heard]})).await;
    let ended = raw
        .until(|message| message["params"]["status"] == "completed")
        .await;
    assert_eq!(ended["params"]["taskId"], heard);
    assert!(!raw.has_seen(|message| message["params"]["taskId"] == quiet));

    let left = create(&mut raw, "nap", json!({"seconds": 5})).await;
    let cancelled = listen(&mut raw, json!({"taskIds": [left]})).await;
    raw.until(|message| message["params"]["taskId"] == left)
        .await;
    raw.send(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": cancelled},
    }))
    .await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    raw.request("tasks/get", json!({"taskId": left})).await;
    assert!(
        !raw.has_seen(|message| message["params"]["status"] == "completed"
            && message["params"]["taskId"] == left)
    );
    assert!(!raw.has_seen(|message| message["id"] == listening || message["id"] == cancelled));
}

#[tokio::test(start_paused = true)]
async fn foreign_tasks_are_not_heard_of() {
    let builder = builder().principal(|request| {
        let client = request.context().client_info()?;
        Some(Principal::new(client.name))
    });
    let tools = start(builder).await;
    let alice = TestServer::connect_as(tools.clone(), "alice").await;
    let task = alice.call("nap_initiate", json!({"seconds": 5})).await;
    let asked = json!({"taskIds": [task.id()], "resourceSubscriptions": [uri(task.id())]});

    // The raw client's name is `raw`.
    let mut bob = Raw::modern(tools.clone(), &declaring());
    listen(&mut bob, asked).await;
    let acknowledged = bob.next().await;
    assert_eq!(acknowledged["params"]["notifications"], json!({}));
    let (mut bob, _) = Raw::legacy(tools, &json!({})).await;
    let refused = bob
        .request("resources/subscribe", json!({"uri": uri(task.id())}))
        .await;
    assert_eq!(refused["error"]["code"], -32002);
}

/// Names whoever asks, until it is told not to.
fn revocable() -> (
    async_tool::AsyncToolsBuilder,
    std::sync::Arc<std::sync::atomic::AtomicBool>,
) {
    let valid = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let now = std::sync::Arc::clone(&valid);
    let builder = builder().principal(move |_| {
        let valid = now.load(std::sync::atomic::Ordering::SeqCst);
        valid.then(|| Principal::new("somebody"))
    });
    (builder, valid)
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_what_allowed_it() {
    let (builder, valid) = revocable();
    let tools = start(builder).await;
    let mut modern = Raw::modern(tools.clone(), &declaring());
    let (mut legacy, _) = Raw::legacy(tools, &json!({})).await;
    let id = create(&mut modern, "nap", json!({"seconds": 5})).await;
    let listening = listen(&mut modern, json!({"taskIds": [id]})).await;
    legacy
        .request("resources/subscribe", json!({"uri": uri(&id)}))
        .await;
    modern.until(is("notifications/tasks")).await;
    valid.store(false, std::sync::atomic::Ordering::SeqCst);
    let ended = modern.answer(listening).await;
    assert_eq!(ended["result"]["resultType"], "complete");
    tokio::time::sleep(Duration::from_secs(20)).await;
    legacy.request("ping", json!({})).await;
    assert!(!legacy.has_seen(is("notifications/resources/updated")));
    assert!(!modern.has_seen(|message| message["params"]["status"] == "completed"));
}

#[tokio::test]
async fn over_http_a_listener_hears_the_same() {
    for mode in [Mode::Sessions, Mode::Stateless, Mode::StatelessJson] {
        let tools = builder().build().await.expect("builds");
        let address = serve(tools.clone(), mode).await;
        let mut http = Http::modern(address, &declaring());
        let params = json!({"name": "nap", "arguments": {"seconds": 1}});
        let created = http.request("tools/call", params).await;
        let id = created["result"]["taskId"]
            .as_str()
            .expect("an id")
            .to_owned();
        let asked = json!({"taskIds": [id], "resourceSubscriptions": [uri(&id), "file:///x"]});
        let mut stream = http
            .post("subscriptions/listen", json!({"notifications": asked}))
            .await;
        assert_eq!(stream.status, 200);
        let meta = json!({"io.modelcontextprotocol/subscriptionId": 2});
        assert_eq!(
            stream.next().await,
            Some(json!({
                "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                "params": {
                    "notifications": {"resourceSubscriptions": [uri(&id)], "taskIds": [id]},
                    "_meta": meta,
                },
            })),
            "{mode:?}"
        );
        let ended = stream
            .until(|message| message["params"]["status"] == "completed")
            .await;
        assert_eq!(ended["params"]["_meta"], meta);
        assert_eq!(ended["params"]["taskId"], id);
        tools.shutdown().await;
        let result = stream.last().await;
        assert_eq!(result["result"]["resultType"], "complete");
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test]
async fn over_http_a_listener_without_the_extension_gets_status_400() {
    for mode in [Mode::Sessions, Mode::StatelessJson] {
        let tools = builder().build().await.expect("builds");
        let mut http = Http::modern(serve(tools, mode).await, &json!({}));
        let params = json!({"notifications": {"taskIds": ["x"]}});
        let mut refused = http.post("subscriptions/listen", params).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.last().await["error"]["code"], -32021);
    }
}

#[tokio::test]
async fn over_http_a_session_hears_of_resources_on_its_own_stream() {
    let tools = builder().build().await.expect("builds");
    let address = serve(tools, Mode::Sessions).await;
    let (mut http, _) = Http::legacy(address, &json!({})).await;
    let mut unasked = http.listen().await;
    let params = json!({"name": "nap_initiate", "arguments": {"seconds": 600}});
    let started = http.request("tools/call", params).await;
    let id = started["result"]["structuredContent"]["task_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let subscribed = http
        .request("resources/subscribe", json!({"uri": uri(&id)}))
        .await;
    assert_eq!(subscribed["result"], json!({}));
    let params = json!({"name": "nap_cancel", "arguments": {"task_id": id}});
    http.request("tools/call", params).await;
    let updated = unasked.until(is("notifications/resources/updated")).await;
    assert_eq!(updated["params"], json!({"uri": uri(&id)}));
}

#[tokio::test]
async fn without_sessions_older_clients_are_told_that_they_cannot_subscribe() {
    let tools = builder().build().await.expect("builds");
    let address = serve(tools, Mode::Stateless).await;
    let (mut http, _) = Http::legacy(address, &json!({})).await;
    let refused = http
        .request("resources/subscribe", json!({"uri": uri("x")}))
        .await;
    assert_eq!(refused["error"]["code"], -32600);
}

#[tokio::test]
async fn over_http_a_body_that_is_too_large_is_refused() {
    let tools = builder().build().await.expect("builds");
    let mut http = Http::modern(serve(tools, Mode::Stateless).await, &json!({}));
    let long = "x".repeat(5 * 1024 * 1024);
    let refused = http
        .post(
            "tools/call",
            json!({"name": "nap", "arguments": {"end": long}}),
        )
        .await;
    assert_eq!(refused.status, 413);
}
