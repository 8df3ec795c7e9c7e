//! Serving over HTTP: who may call, from where, and what operators look at.

#[path = "health.rs"]
mod health;
#[path = "operators.rs"]
mod operators;
#[path = "tokens.rs"]
mod tokens;

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_tool::{AsyncTools, AsyncToolsBuilder, BoxError, Principal};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clap::Args;
use health::health;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use operators::Operator;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokens::Tokens;
use tokio_util::sync::CancellationToken;

/// Holds lines `NAME:TOKEN`, where no file is given.
const TOKENS: &str = "MCP_TOKENS";
/// How long a call may wait in silence.
const LONGEST_TASK: Duration = Duration::from_secs(60 * 60);
/// How often the metrics' histograms are emptied into what a scrape reads.
const UPKEEP: Duration = Duration::from_secs(5);
/// Of durations, in seconds: replicas can be added up, which summaries cannot.
const BUCKETS: [f64; 8] = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0];

/// Where and to whom to serve.
#[derive(Debug, Args)]
pub(crate) struct Http {
    /// Serve streamable HTTP at this address, path `/mcp`, instead of stdio.
    #[arg(long = "http", id = "http", value_name = "ADDR")]
    address: Option<SocketAddr>,
    /// Keep no sessions, so that a load balancer may send each request to
    /// whichever replica it likes.
    #[arg(long, requires = "http")]
    stateless: bool,
    /// Serve those alone who have one of the bearer tokens in this file, or in
    /// the variable `MCP_TOKENS`: lines `NAME:TOKEN`. Each name has tasks of its
    /// own. Without tokens, whoever reaches the address is the one user.
    #[arg(long, value_name = "FILE", requires = "http")]
    tokens: Option<PathBuf>,
    /// Show the dashboard, at `/dashboard`, to who signs in by this name of the
    /// tokens. It shows the tasks of all. Without tokens, whoever reaches the
    /// address sees it.
    #[arg(long, value_name = "NAME", requires = "http")]
    operator: Option<String>,
    /// Serve requests to this host too (`NAME` or `NAME:PORT`), such as the name
    /// that a reverse proxy is known by; those of this machine always are.
    #[arg(long, value_name = "HOST", requires = "http")]
    allow_host: Vec<String>,
    /// Serve web pages of this origin too (`https://NAME`); none is otherwise.
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    allow_origin: Vec<String>,
}

/// Who may call.
#[derive(Debug, Clone)]
pub(crate) enum Callers {
    /// Whoever can, as one user.
    Anybody,
    /// Who has a token, each with tasks of their own.
    Known(Arc<Tokens>),
}

impl Http {
    /// Where to serve; none: on stdio.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Reads who may call.
    pub(crate) fn callers(&self) -> Result<Callers, BoxError> {
        let callers = self.read_callers()?;
        match (&callers, &self.operator) {
            (Callers::Known(tokens), Some(name)) if !tokens.has(name) => {
                Err(format!("`--operator {name}`: none of the tokens is of this name").into())
            }
            _ => Ok(callers),
        }
    }

    fn read_callers(&self) -> Result<Callers, BoxError> {
        let Some(address) = self.address else {
            return Ok(Callers::Anybody);
        };
        if let Some(file) = &self.tokens {
            return Ok(Callers::Known(Arc::new(Tokens::read(file)?)));
        }
        if let Ok(tokens) = env::var(TOKENS) {
            return Ok(Callers::Known(Arc::new(Tokens::parse(&tokens)?)));
        }
        if !address.ip().is_loopback() {
            return Err(format!(
                "others than this machine can reach {address}, and without tokens any of them \
                 could call: give `--tokens FILE`, or serve at 127.0.0.1"
            )
            .into());
        }
        Ok(Callers::Anybody)
    }

    /// What is served until `stop`.
    pub(crate) fn router(
        &self,
        tools: &AsyncTools,
        callers: Callers,
        metrics: PrometheusHandle,
        stop: CancellationToken,
    ) -> Router {
        let handler = tools.clone();
        let mcp = tools.http_layer().layer(StreamableHttpService::new(
            move || Ok(handler.clone()),
            Arc::new(sessions_for(LONGEST_TASK)),
            self.config(stop),
        ));
        // What operators look at has its place beside the metrics, or, if it is
        // for everybody, beside the health.
        let guarded = Router::new()
            .nest_service("/mcp", mcp)
            .route("/metrics", get(scrape).with_state(metrics));
        let operator = self.operator.clone();
        let page = |operator| operators::page(tools, &self.allow_host, operator);
        let page = match (&callers, operator) {
            (Callers::Anybody, _) => Some(page(None)),
            (Callers::Known(tokens), Some(name)) => Some(page(Some(Operator {
                name,
                tokens: Arc::clone(tokens),
            }))),
            (Callers::Known(_), None) => None,
        };
        let guarded = match callers {
            Callers::Anybody => guarded,
            Callers::Known(tokens) => guarded.layer(from_fn_with_state(tokens, authenticate)),
        };
        let all = guarded.route("/health", get(health).with_state(tools.clone()));
        match page {
            Some(page) => all.nest_service("/dashboard", page),
            None => all,
        }
    }

    fn config(&self, stop: CancellationToken) -> StreamableHttpServerConfig {
        let mut config = StreamableHttpServerConfig::default();
        config.legacy_session_mode = !self.stateless;
        config.json_response = self.stateless;
        config.cancellation_token = stop;
        // A page in a browser of this machine reaches it too: by its own origin,
        // or under a name of its own that leads here. rmcp lets in the names of
        // this machine by itself, and any origin.
        config.allowed_hosts.extend(self.allow_host.iter().cloned());
        config
            .with_allowed_origins(&self.allow_origin)
            .enforce_origin_validation()
    }
}

impl Callers {
    /// Tells the server whose requests it gets.
    pub(crate) fn known_to(&self, builder: AsyncToolsBuilder) -> AsyncToolsBuilder {
        match self {
            Self::Anybody => builder.single_user(),
            Self::Known(_) => builder
                // Put there by `authenticate`.
                .principal(|request| request.http()?.extensions.get::<Principal>().cloned())
                .require_principal(),
        }
    }
}

/// Collects the metrics of this process from here on.
pub(crate) fn collect_metrics() -> Result<PrometheusHandle, BoxError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(seconds, &BUCKETS)?
        .install_recorder()?;
    let kept = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            kept.run_upkeep();
        }
    });
    Ok(metrics)
}

/// A session in which nothing is sent for so long is over; rmcp's default is
/// five minutes, and a call may wait longer than that for its task.
fn sessions_for(silence: Duration) -> LocalSessionManager {
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.keep_alive = Some(silence);
    sessions
}

/// Lets through who has a token, and says whose request it is.
async fn authenticate(
    State(tokens): State<Arc<Tokens>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(token) = bearer(request.headers()) else {
        return unauthorised("Bearer realm=\"mcp\"");
    };
    let Some(principal) = tokens.principal(token).cloned() else {
        return unauthorised("Bearer realm=\"mcp\", error=\"invalid_token\"");
    };
    request.extensions_mut().insert(principal);
    next.run(request).await
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// As RFC 6750 wants it.
fn unauthorised(challenge: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response()
}

async fn scrape(State(metrics): State<PrometheusHandle>) -> impl IntoResponse {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, TEXT)], metrics.render())
}
