//! The page for operators, and who may look at it.

use std::sync::Arc;

use async_tool::AsyncTools;
use async_tool::dashboard::Dashboard;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::Tokens;

/// Whose token opens the page.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) name: String,
    pub(super) tokens: Arc<Tokens>,
}

/// The page, for these hosts beside this machine's, and for this operator alone.
pub(super) fn page(tools: &AsyncTools, hosts: &[String], operator: Option<Operator>) -> Router {
    let dashboard = hosts
        .iter()
        .fold(Dashboard::new().allow_cancel(), |dashboard, host| {
            // It looks at names alone.
            let name = host.rsplit_once(':').map_or(&**host, |(name, _)| name);
            dashboard.host(name)
        });
    let page = dashboard.router(tools);
    match operator {
        Some(operator) => page.layer(from_fn_with_state(Arc::new(operator), sign_in)),
        None => page,
    }
}

/// HTTP Basic, because a browser that opens a page sends no bearer token.
async fn sign_in(State(operator): State<Arc<Operator>>, request: Request, next: Next) -> Response {
    if operator.admits(request.headers()) {
        return next.run(request).await;
    }
    let challenge = "Basic realm=\"dashboard\", charset=\"UTF-8\"";
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response()
}

impl Operator {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = credentials(headers);
        given.is_some_and(|(name, token)| {
            let owner = self.tokens.principal(&token);
            name == self.name && owner.is_some_and(|owner| owner.as_str() == name)
        })
    }
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, text) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = BASE64_STANDARD.decode(text.trim()).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (name, token) = text.split_once(':')?;
    Some((name.to_owned(), token.to_owned()))
}
