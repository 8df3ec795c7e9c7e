//! The one thing that operators may change.

use async_tool::dashboard::Dashboard;
use async_tool::testing::TestServer;
use async_tool::{MemoryStore, Principal};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use super::{Site, with};
use crate::tools::{builder, start};

/// As the page sends it.
fn post(id: &str, body: &str) -> Request<Body> {
    Request::post(format!("/ops/api/tasks/{id}/cancel"))
        .header("host", "localhost:8000")
        .header("origin", "http://localhost:8000")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/json")
        .header("x-async-tool-dashboard", "1")
        .body(Body::from(body.to_owned()))
        .expect("a request")
}

fn without(mut request: Request<Body>, names: &[&str]) -> Request<Body> {
    for name in names {
        assert!(request.headers_mut().remove(*name).is_some(), "{name}");
    }
    request
}

#[tokio::test(start_paused = true)]
async fn cancelling_is_off_unless_it_was_allowed() {
    let server = start().await;
    let nap = server.call("nap_initiate", json!({"millis": 60_000})).await;
    let site = Site::of(&server, Dashboard::new());
    let answer = site.ask(post(nap.id(), "{}")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let still = server
        .call("nap_status", json!({"task_id": nap.id()}))
        .await;
    assert_eq!(still["status"], "working");
}

#[tokio::test(start_paused = true)]
async fn a_task_of_anybody_is_cancelled_and_keeps_the_reason() {
    let tools = builder()
        .store(MemoryStore::new())
        .principal(|_| Some(Principal::new("alice")));
    let server = TestServer::start(tools).await;
    let site = Site::of(&server, Dashboard::new().allow_cancel());
    for (body, reason) in [
        (
            r#"{"reason": " the build machine is needed "}"#,
            "the build machine is needed",
        ),
        (r#"{"reason": ""}"#, "cancelled by an operator"),
        ("{}", "cancelled by an operator"),
    ] {
        let nap = server.call("nap_initiate", json!({"millis": 60_000})).await;
        let answer = site.ask(post(nap.id(), body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.json()["status"], "cancelled");
        let end = server
            .call("nap_status", json!({"task_id": nap.id()}))
            .await;
        assert_eq!(
            (&end["status"], &end["message"]),
            (&json!("cancelled"), &json!(reason))
        );
        // Once more does no harm.
        let again = site.ask(post(nap.id(), body)).await;
        assert_eq!(again.json()["status"], "cancelled");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_but_the_page_may_ask_for_it() {
    let server = start().await;
    let nap = server.call("nap_initiate", json!({"millis": 60_000})).await;
    let site = Site::of(&server, Dashboard::new().allow_cancel());
    let good = || post(nap.id(), "{}");
    let old = || without(good(), &["sec-fetch-site"]);
    for (request, status, code) in [
        (
            without(good(), &["x-async-tool-dashboard"]),
            StatusCode::FORBIDDEN,
            "header_missing",
        ),
        (
            with(good(), &[("sec-fetch-site", "cross-site")]),
            StatusCode::FORBIDDEN,
            "cross_site",
        ),
        (
            with(good(), &[("sec-fetch-site", "same-site")]),
            StatusCode::FORBIDDEN,
            "cross_site",
        ),
        // Of browsers that do not say it.
        (
            with(old(), &[("origin", "https://evil.example")]),
            StatusCode::FORBIDDEN,
            "cross_site",
        ),
        (
            with(old(), &[("origin", "null")]),
            StatusCode::FORBIDDEN,
            "cross_site",
        ),
        (
            with(old(), &[("origin", "http://localhost:8001")]),
            StatusCode::FORBIDDEN,
            "cross_site",
        ),
        // What a form can send without asking first.
        (
            with(good(), &[("content-type", "text/plain")]),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_request",
        ),
    ] {
        let answer = site.ask(request).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    let mut read = good();
    *read.method_mut() = axum::http::Method::GET;
    assert_eq!(site.ask(read).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let still = server
        .call("nap_status", json!({"task_id": nap.id()}))
        .await;
    assert_eq!(still["status"], "working");

    // No browser at all, with the header: a script of an operator.
    let script = without(good(), &["sec-fetch-site", "origin"]);
    assert_eq!(site.ask(script).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_refused() {
    let server = start().await;
    let nap = server.call("nap_initiate", json!({"millis": 60_000})).await;
    let site = Site::of(&server, Dashboard::new().allow_cancel());
    let long = format!(r#"{{"reason": "{}"}}"#, "x".repeat(10_000));
    for (id, body, status) in [
        (nap.id(), "", StatusCode::BAD_REQUEST),
        (nap.id(), "reason", StatusCode::BAD_REQUEST),
        (nap.id(), r#"{"reson": "x"}"#, StatusCode::BAD_REQUEST),
        (nap.id(), long.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
        ("x", "{}", StatusCode::NOT_FOUND),
        (
            "00000000000040008000000000000000",
            "{}",
            StatusCode::NOT_FOUND,
        ),
    ] {
        let answer = site.ask(post(id, body)).await;
        assert_eq!(answer.status, status, "{id} {}", answer.text);
    }
}
