//! Files, headers, and whose requests are answered.

use async_tool::dashboard::Dashboard;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use tower_service::Service;

use super::{Site, get, with};
use crate::tools::start;

#[tokio::test(start_paused = true)]
async fn the_page_and_its_files_are_there_and_nothing_foreign_is_allowed() {
    let server = start().await;
    let site = Site::of(&server, Dashboard::new());
    for (path, content_type) in [
        ("", "text/html; charset=utf-8"),
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/base.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/api/tasks", "application/json"),
        ("/nothing", "application/json"),
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.header("content-type"), content_type, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none';"),
            "{path}: {policy}"
        );
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_page_finds_its_files_under_any_prefix() {
    let server = start().await;
    let site = Site::of(&server, Dashboard::new());
    let without = site.get("").await.text;
    assert!(without.contains(r#"src="./ops/app.js""#), "{without}");
    let with = site.get("/").await.text;
    assert!(with.contains(r#"src="./app.js""#), "{with}");

    let router = Dashboard::new().router(server.tools());
    let mut app = Router::new().nest("/a/b", router);
    let request = Request::get("/a/b").body(Body::empty()).expect("a request");
    let nested = app.call(request).await.expect("it always answers");
    assert_eq!(nested.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn files_are_sent_again_only_when_they_changed() {
    let server = start().await;
    let site = Site::of(&server, Dashboard::new());
    for path in ["/", "/app.js"] {
        let first = site.get(path).await;
        assert_eq!(first.header("cache-control"), "no-cache");
        let tag = first.header("etag").to_owned();
        assert!(tag.len() > 10, "{tag}");
        for known in [tag.clone(), format!("W/{tag}"), format!("\"old\", {tag}")] {
            let again = site
                .ask(with(get(path), &[("if-none-match", &known)]))
                .await;
            assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(again.text, "");
        }
        let other = site
            .ask(with(get(path), &[("if-none-match", "\"old\"")]))
            .await;
        assert_eq!(other.text, first.text);
        let mut head = get(path);
        *head.method_mut() = axum::http::Method::HEAD;
        let head = site.ask(head).await;
        assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
        assert_eq!(head.header("etag"), tag);
    }
    assert_eq!(
        site.get("/api/tasks").await.header("cache-control"),
        "no-store"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_nobody_named_is_refused() {
    let server = start().await;
    let site = Site::of(&server, Dashboard::new().host("ops.example"));
    for (host, status) in [
        ("localhost:8000", StatusCode::OK),
        ("127.0.0.1", StatusCode::OK),
        ("[::1]:8000", StatusCode::OK),
        ("ops.example:443", StatusCode::OK),
        ("evil.example", StatusCode::FORBIDDEN),
        ("localhost.evil.example", StatusCode::FORBIDDEN),
        ("a b", StatusCode::FORBIDDEN),
    ] {
        for path in ["/", "/api/tasks"] {
            let answer = site.ask(with(get(path), &[("host", host)])).await;
            assert_eq!(answer.status, status, "{host}");
        }
    }
    let refused = site.ask(with(get("/"), &[("host", "evil.example")])).await;
    assert_eq!(refused.code(), "host_not_allowed");
    let open = Site::of(&server, Dashboard::new().any_host());
    let answer = open.ask(with(get("/"), &[("host", "evil.example")])).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn another_site_reads_nothing_and_uses_up_no_stream() {
    let server = start().await;
    let site = Site::of(&server, Dashboard::new());
    for path in ["/api/tasks", "/api/events"] {
        for from in ["cross-site", "same-site"] {
            let answer = site.ask(with(get(path), &[("sec-fetch-site", from)])).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {from}");
            assert_eq!(answer.code(), "cross_site");
        }
    }
    // A link on another site may lead here.
    let page = site
        .ask(with(get("/"), &[("sec-fetch-site", "cross-site")]))
        .await;
    assert_eq!(page.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn mistakes_are_answered_in_json() {
    let server = start().await;
    let site = Site::of(&server, Dashboard::new());
    for (path, status, code) in [
        ("/api/nothing", StatusCode::NOT_FOUND, "not_found"),
        ("/app.js/more", StatusCode::NOT_FOUND, "not_found"),
        (
            "/api/tasks?status=done",
            StatusCode::BAD_REQUEST,
            "invalid_request",
        ),
        (
            "/api/tasks?limit=0",
            StatusCode::BAD_REQUEST,
            "invalid_request",
        ),
        (
            "/api/tasks?limit=x",
            StatusCode::BAD_REQUEST,
            "invalid_request",
        ),
        (
            "/api/tasks?after=x",
            StatusCode::BAD_REQUEST,
            "invalid_request",
        ),
        (
            "/api/tasks?colour=red",
            StatusCode::BAD_REQUEST,
            "invalid_request",
        ),
        (
            "/api/events?status=done",
            StatusCode::BAD_REQUEST,
            "invalid_request",
        ),
        ("/api/tasks/x", StatusCode::NOT_FOUND, "task_not_found"),
        (
            "/api/tasks/00000000000040008000000000000000",
            StatusCode::NOT_FOUND,
            "task_not_found",
        ),
    ] {
        let answer = site.get(path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path}"
        );
    }
    let mut post = get("/api/tasks");
    *post.method_mut() = axum::http::Method::POST;
    let answer = site.ask(post).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.code(), "method_not_allowed");
    let wrong = site.get("/api/tasks?status=done").await.text;
    assert!(wrong.contains("queued, working, input_required"), "{wrong}");
}
