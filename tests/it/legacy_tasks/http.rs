//! The same over streamable HTTP.

use async_tool::Principal;
use serde_json::json;

use super::{RELATED, call, code, is};
use crate::native::builder;
use crate::raw_http::{Http, Mode, serve};

#[tokio::test]
async fn over_http_a_session_has_the_same_tasks() {
    let tools = builder().build().await.expect("builds");
    let address = serve(tools, Mode::Sessions).await;
    let (mut http, initialized) = Http::legacy(address, &json!({"elicitation": {}})).await;
    let capabilities = &initialized["result"]["capabilities"];
    assert_eq!(
        *capabilities,
        json!({
            "tools": {}, "resources": {"subscribe": true},
            "tasks": {"cancel": {}, "requests": {"tools": {"call": {}}}},
        })
    );
    let listed = http.request("tools/list", json!({})).await;
    assert!(
        listed
            .to_string()
            .contains(r#""execution":{"taskSupport":"required"}"#)
    );
    let mut unasked = http.listen().await;
    let mut params = call("switch", &json!({"environment": "test"}));
    params["_meta"] = json!({"progressToken": "p"});
    let created = http.request("tools/call", params).await;
    let id = created["result"]["task"]["taskId"]
        .as_str()
        .expect("an id")
        .to_owned();
    let asks = unasked.until(is("notifications/tasks/status")).await;
    assert_eq!(asks["params"]["status"], "input_required");
    // The question comes on the stream of whoever waits for the result.
    let mut waiting = http.post("tasks/result", json!({"taskId": id})).await;
    let asked = waiting.until(is("elicitation/create")).await;
    assert_eq!(asked["params"]["_meta"][RELATED], json!({"taskId": id}));
    let progress = unasked.until(is("notifications/progress")).await;
    assert_eq!(progress["params"]["progressToken"], "p");
    let got = http.request("tasks/get", json!({"taskId": id})).await;
    assert_eq!(got["result"]["status"], "input_required");
    let declined = json!({"action": "decline"});
    http.respond(&asked["id"], &declined).await;
    let result = waiting.last().await;
    assert_eq!(result["result"]["isError"], true, "{result}");
    assert_eq!(result["result"]["_meta"], json!({RELATED: {"taskId": id}}));
    let ended = unasked
        .until(|message| message["params"]["status"] == "failed")
        .await;
    assert_eq!(ended["params"]["taskId"], id);
}

#[tokio::test]
async fn over_http_without_sessions_tasks_can_be_created_read_and_cancelled() {
    for mode in [Mode::Stateless, Mode::StatelessJson] {
        let tools = builder().single_user().build().await.expect("builds");
        let address = serve(tools, mode).await;
        let (mut http, initialized) = Http::legacy(address, &json!({})).await;
        let tasks = &initialized["result"]["capabilities"]["tasks"];
        assert_eq!(
            *tasks,
            json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}),
            "{mode:?}"
        );
        let listed = http.request("tools/list", json!({})).await;
        assert!(listed.to_string().contains("taskSupport"), "{mode:?}");
        let created = http
            .request("tools/call", call("nap", &json!({"seconds": 1})))
            .await;
        let id = created["result"]["task"]["taskId"]
            .as_str()
            .expect("an id")
            .to_owned();
        let result = http.request("tasks/result", json!({"taskId": id})).await;
        assert_eq!(result["result"]["structuredContent"], json!({"seconds": 1}));
        let listed = http.request("tasks/list", json!({})).await;
        assert_eq!(listed["result"]["tasks"][0]["taskId"], *id);
        let created = http
            .request("tools/call", call("nap", &json!({"seconds": 60})))
            .await;
        let id = created["result"]["task"]["taskId"]
            .as_str()
            .expect("an id")
            .to_owned();
        let cancelled = http.request("tasks/cancel", json!({"taskId": id})).await;
        assert_eq!(cancelled["result"]["status"], "cancelled");
    }
}

#[tokio::test]
async fn over_http_tasks_are_their_principals() {
    let tools = builder()
        .principal(|request| {
            let header = request.http()?.headers.get("authorization")?;
            Some(Principal::new(header.to_str().ok()?.to_owned()))
        })
        .require_principal()
        .build()
        .await
        .expect("builds");
    let address = serve(tools, Mode::Sessions).await;
    let (alice, _) = Http::legacy(address, &json!({})).await;
    let (bob, _) = Http::legacy(address, &json!({})).await;
    let (mut nobody, _) = Http::legacy(address, &json!({})).await;
    let mut alice = alice.with_header("Authorization", "alice");
    let mut bob = bob.with_header("Authorization", "bob");
    let created = alice
        .request("tools/call", call("nap", &json!({"seconds": 60})))
        .await;
    let id = created["result"]["task"]["taskId"]
        .as_str()
        .expect("an id")
        .to_owned();
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let foreign = bob.request(method, json!({"taskId": id})).await;
        assert_eq!(code(&foreign), -32602);
        let anonymous = nobody.request(method, json!({"taskId": id})).await;
        assert_eq!(code(&anonymous), -32600);
    }
    let refused = nobody
        .request("tools/call", call("nap", &json!({"seconds": 1})))
        .await;
    assert_eq!(code(&refused), -32600);
    let own = alice.request("tasks/get", json!({"taskId": id})).await;
    assert_eq!(own["result"]["status"], "working");
    let listed = bob.request("tasks/list", json!({})).await;
    assert_eq!(listed["result"], json!({"tasks": []}));
}
