//! What other sites must not make a browser do, and what the page itself must
//! not do either.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::api::Problem;

/// Scripts and styles of the page's own files alone: what a task says is never
/// run, whatever mistake the page makes.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Says that a request is the page's: no other site can make a browser send it
/// without asking first (CORS).
const OWN_PAGE: &str = "x-async-tool-dashboard";
/// See <https://www.w3.org/TR/fetch-metadata/>.
const SITE: &str = "sec-fetch-site";

/// For which hosts the dashboard answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts {
    any: bool,
    named: Vec<String>,
}

impl Hosts {
    pub(super) fn allow(&mut self, host: String) {
        self.named.push(host);
    }

    pub(super) fn allow_any(&mut self) {
        self.any = true;
    }

    fn allows(&self, host: &str) -> bool {
        let is = |name: &String| name.eq_ignore_ascii_case(host);
        self.any || is_loopback(host) || self.named.iter().any(is)
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Around everything: checks the host, and adds headers to the answer.
pub(super) async fn guard(
    State(hosts): State<Arc<Hosts>>,
    request: Request,
    next: Next,
) -> Response {
    // What is no browser may leave it out, and cannot be led here.
    let host = authority(request.headers(), request.uri());
    let mut response = match host {
        Some(host) if !hosts.allows(host.host()) => Problem::new(
            StatusCode::FORBIDDEN,
            "host_not_allowed",
            format!(
                "the dashboard does not answer for the host `{}`; \
                 the server must name it with `Dashboard::host`",
                host.host()
            ),
        )
        .into(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Around the API: no other site makes a browser ask, be it only to use up the
/// streams.
pub(super) async fn same_site(request: Request, next: Next) -> Response {
    match request.headers().get(SITE) {
        Some(site) if site != "same-origin" && site != "none" => cross_site().into(),
        _ => next.run(request).await,
    }
}

/// Around what changes something: it must be the page that asks, or no browser
/// at all.
pub(super) async fn own_page(request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !headers.contains_key(OWN_PAGE) {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "header_missing",
            format!("a request that changes something needs the header `{OWN_PAGE}`"),
        )
        .into();
    }
    // Browsers that say where the request comes from have been heard already;
    // the others say it with `Origin`.
    let told = headers.contains_key(SITE);
    let origin = headers.get(header::ORIGIN);
    if let (false, Some(origin)) = (told, origin)
        && !is_own(origin, authority(headers, request.uri()).as_ref())
    {
        return cross_site().into();
    }
    next.run(request).await
}

fn is_own(origin: &HeaderValue, host: Option<&Authority>) -> bool {
    let origin = origin.to_str().ok().and_then(|it| it.parse::<Uri>().ok());
    let origin = origin.as_ref().and_then(Uri::authority);
    origin.is_some() && origin == host
}

fn cross_site() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "cross_site",
        "the request was made by another site".to_owned(),
    )
}

/// Whom the request is for: HTTP/2 says it in the URI.
fn authority(headers: &HeaderMap, uri: &Uri) -> Option<Authority> {
    match headers.get(header::HOST) {
        // What cannot be read is nobody's name.
        Some(host) => {
            let host = host.to_str().ok().and_then(|host| host.parse().ok());
            Some(host.unwrap_or_else(|| Authority::from_static("invalid")))
        }
        None => uri.authority().cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_named_hosts_are_allowed() {
        let mut hosts = Hosts::default();
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(hosts.allows(host), "{host}");
        }
        for host in [
            "ops.example",
            "127.0.0.1.evil.example",
            "0.0.0.0",
            "invalid",
            "",
        ] {
            assert!(!hosts.allows(host), "{host}");
        }
        hosts.allow("ops.example".to_owned());
        assert!(hosts.allows("OPS.example") && !hosts.allows("example"));
        hosts.allow_any();
        assert!(hosts.allows("whatever"));
    }

    #[test]
    fn an_origin_is_ours_if_it_is_the_host() {
        let host = Authority::from_static("ops.example:8000");
        for (origin, own) in [
            ("http://ops.example:8000", true),
            ("https://ops.example:8000", true),
            ("http://ops.example", false),
            ("http://evil.example:8000", false),
            ("null", false),
        ] {
            let value = HeaderValue::from_static(origin);
            assert_eq!(is_own(&value, Some(&host)), own, "{origin}");
            assert!(!is_own(&value, None), "{origin}");
        }
    }
}
