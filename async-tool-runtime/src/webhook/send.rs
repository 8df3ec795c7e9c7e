//! One POST.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP};

use super::resolve::{Checked, NotResolved};

/// A signed message.
pub(super) struct Request<'a> {
    pub(super) url: &'a Uri,
    pub(super) id: &'a str,
    /// When it is sent, in seconds since 1970.
    pub(super) seconds: i64,
    pub(super) signature: String,
    pub(super) body: &'a str,
}

/// What the receiver answered; nobody reads the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
}

/// Carries messages. The caller bounds the time.
#[async_trait]
pub(super) trait Transport: Send + Sync {
    /// Sends a message once; or says why there was no answer, without repeating
    /// the URL.
    async fn post(&self, request: Request<'_>) -> Result<Answer, String>;
}

/// By HTTP. Knows no redirects, which could lead anywhere, and no proxies, which
/// look up names themselves.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector<Checked>>, String>,
    /// Why nobody can be believed by HTTPS.
    no_roots: Option<String>,
}

impl Http {
    /// Believes the system's root certificates, or those that `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` name. `plain`: it is used without TLS, too.
    ///
    /// # Errors
    ///
    /// There are no root certificates, and it is not used without TLS. If it is,
    /// each message by HTTPS fails.
    pub(super) fn new(resolver: Checked, plain: bool) -> io::Result<Self> {
        match tls()?.with_native_roots() {
            Err(error) if !plain => Err(error),
            roots => Self::with_roots(resolver, roots),
        }
    }

    fn with_roots(resolver: Checked, roots: io::Result<Believing>) -> io::Result<Self> {
        // Most bytes of an answer before its body, which nobody reads.
        const HEAD: usize = 64 * 1024;
        let mut connector = HttpConnector::new_with_resolver(resolver);
        // It carries HTTPS, too.
        connector.enforce_http(false);
        let (roots, no_roots) = match roots {
            Ok(roots) => (roots, None),
            Err(error) => {
                tracing::warn!(%error, "webhooks can only be sent without TLS");
                let none = tls()?.with_root_certificates(RootCertStore::empty());
                (none, Some(format!("there is no root certificate: {error}")))
            }
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(roots.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            // Each connection is to an address that was checked for it.
            .pool_max_idle_per_host(0)
            .http1_max_buf_size(HEAD)
            .retry_canceled_requests(false)
            .build(connector);
        Ok(Self { client, no_roots })
    }
}

type Believing = ConfigBuilder<ClientConfig, WantsClientCert>;

fn tls() -> io::Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)
}

#[async_trait]
impl Transport for Http {
    async fn post(&self, request: Request<'_>) -> Result<Answer, String> {
        if let (Some(error), Some("https")) = (&self.no_roots, request.url.scheme_str()) {
            return Err(error.clone());
        }
        let message = http::Request::post(request.url)
            .header(
                USER_AGENT,
                concat!("async-tool/", env!("CARGO_PKG_VERSION")),
            )
            .header(CONTENT_TYPE, "application/json")
            .header(HEADER_WEBHOOK_ID, request.id)
            .header(HEADER_WEBHOOK_TIMESTAMP, request.seconds)
            .header(HEADER_WEBHOOK_SIGNATURE, request.signature)
            .body(request.body.to_owned())
            .map_err(|error| error.to_string())?;
        match self.client.request(message).await {
            Ok(response) => Ok(Answer {
                status: response.status().as_u16(),
                retry_after: retry_after(response.headers()),
            }),
            Err(error) => Err(said(&error)),
        }
    }
}

/// In seconds; dates are not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(value.trim().parse().ok()?))
}

/// Why there was no answer: what is at the bottom of it.
fn said(error: &hyper_util::client::legacy::Error) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<NotResolved>() {
            return refused.to_string();
        }
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return format!("TLS failed: {error}");
        }
        cause = match error.downcast_ref::<io::Error>() {
            Some(error) => match error.get_ref() {
                Some(inside) => Some(inside),
                None => return format!("the connection failed: {error}"),
            },
            None => error.source(),
        };
    }
    let what = if error.is_connect() {
        "the host could not be connected to"
    } else {
        "the connection ended without an answer"
    };
    what.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::address::Networks;
    use super::super::resolve::Resolve;
    use super::*;

    /// Knows no host.
    struct Nowhere;

    #[async_trait]
    impl Resolve for Nowhere {
        async fn resolve(&self, _: &str) -> io::Result<Vec<std::net::IpAddr>> {
            Ok(Vec::new())
        }
    }

    async fn post(http: &Http, url: &'static str) -> String {
        let request = Request {
            url: &Uri::from_static(url),
            id: "msg",
            seconds: 0,
            signature: "v1,x".to_owned(),
            body: "{}",
        };
        http.post(request).await.expect_err("nobody is there")
    }

    #[tokio::test]
    async fn without_root_certificates_only_https_fails() {
        let resolver = Checked {
            resolver: Arc::new(Nowhere),
            networks: Networks::default(),
        };
        let roots = Err(io::Error::other("none was found"));
        let http = Http::with_roots(resolver, roots).expect("a transport");
        assert_eq!(
            post(&http, "https://a.example/").await,
            "there is no root certificate: none was found"
        );
        // It came as far as the look-up.
        assert_eq!(
            post(&http, "http://a.example/").await,
            "the host has no address"
        );
    }
}
