//! The page for operators: its API and its events, and what it refuses. A browser
//! looks at it in `tests/clients`.

mod cancel;
mod events;
mod pages;
mod tasks;

use std::collections::BTreeMap;

use async_tool::dashboard::Dashboard;
use async_tool::testing::TestServer;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower_service::Service;

/// The dashboard of a server, called as a service.
#[derive(Clone)]
pub(super) struct Site(Router);

/// What it answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(|value| value.to_str());
        value.unwrap_or(Ok("")).expect("it is text")
    }

    /// The code of the error that it is.
    #[track_caller]
    pub(super) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json");
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|it| !it.is_empty()));
        error["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Site {
    /// Mounted where an application might.
    pub(super) fn of(server: &TestServer, dashboard: Dashboard) -> Self {
        let router = dashboard.router(server.tools());
        Self(Router::new().nest_service("/ops", router))
    }

    pub(super) async fn open(&self, request: Request<Body>) -> axum::response::Response {
        self.0
            .clone()
            .call(request)
            .await
            .expect("it always answers")
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.open(request).await;
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.expect("it ends");
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).expect("it is text"),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(get(path)).await
    }
}

pub(super) fn get(path: &str) -> Request<Body> {
    let request = Request::get(format!("/ops{path}")).header("host", "localhost:8000");
    request.body(Body::empty()).expect("a request")
}

/// With other or more headers.
pub(super) fn with(mut request: Request<Body>, headers: &[(&'static str, &str)]) -> Request<Body> {
    let headers: BTreeMap<_, _> = headers.iter().copied().collect();
    for (name, value) in headers {
        let value = value.parse().expect("a header");
        request.headers_mut().insert(name, value);
    }
    request
}
