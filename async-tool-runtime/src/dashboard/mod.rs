//! A web page for operators: what runs and what ran, live, with progress, plots
//! of durations and failures, and the timeline and log of each task.
//!
//! [`Dashboard::router`] gives an [`axum::Router`] to mount wherever the
//! application likes:
//!
//! ```
//! # async fn mount(tools: async_tool_runtime::AsyncTools) {
//! use async_tool_runtime::dashboard::Dashboard;
//!
//! let dashboard = Dashboard::new().router(&tools);
//! let app: axum::Router = axum::Router::new().nest_service("/dashboard", dashboard);
//! # }
//! ```
//!
//! It shows the tasks of **all** principals, to whoever can reach it: put it
//! behind the application's own authentication, as a layer around the router.
//! `docs/dashboard.md` in the repository says how, and has the JSON API.

mod api;
mod assets;
mod events;
mod guard;
mod shapes;
mod statistics;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use crate::AsyncTools;
use crate::engine::Engine;
use statistics::Statistics;

/// A page for operators; see the [module](self).
#[derive(Debug, Clone)]
#[must_use]
pub struct Dashboard {
    cancel: bool,
    results: bool,
    hosts: guard::Hosts,
    streams: usize,
}

impl Default for Dashboard {
    fn default() -> Self {
        Self {
            cancel: false,
            results: false,
            hosts: guard::Hosts::default(),
            streams: 32,
        }
    }
}

impl Dashboard {
    /// A page that shows, and changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets operators cancel tasks, of whoever it is. Off unless said otherwise.
    ///
    /// Only the page itself can ask for it: requests that another site makes a
    /// browser send are refused.
    pub fn allow_cancel(mut self) -> Self {
        self.cancel = true;
        self
    }

    /// Shows the results of tasks, and the details of errors. Off unless said
    /// otherwise: they may be secret. Arguments are never shown.
    pub fn show_results(mut self) -> Self {
        self.results = true;
        self
    }

    /// Answers requests for this host as well, a name without a port:
    /// `ops.example.com`.
    ///
    /// The names of loopback are always allowed. Any other that nobody has named
    /// is refused, so that no other site can lead a browser here by a name of its
    /// own (DNS rebinding).
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.hosts.allow(host.into());
        self
    }

    /// Answers whatever host is asked for; for applications that check it
    /// themselves.
    pub fn any_host(mut self) -> Self {
        self.hosts.allow_any();
        self
    }

    /// Sets how many browsers are kept up to date at the same time; 32 unless
    /// said otherwise. Further ones look every few seconds.
    pub fn max_streams(mut self, streams: usize) -> Self {
        self.streams = streams;
        self
    }

    /// The page and its API, for the tasks of this server's store and namespace.
    /// All of its URLs are relative, so it can be mounted under any prefix.
    ///
    /// It holds a handle to the server, which thus goes on until
    /// [`shutdown`](AsyncTools::shutdown).
    pub fn router(self, tools: &AsyncTools) -> Router {
        let hosts = Arc::new(self.hosts.clone());
        let cancel = self.cancel;
        let site = Arc::new(Site {
            tools: tools.clone(),
            streams: Arc::new(Semaphore::new(self.streams.min(Semaphore::MAX_PERMITS))),
            options: self,
            statistics: Statistics::default(),
        });
        let mut api = Router::new()
            .route("/health", get(api::health))
            .route("/tasks", get(api::tasks))
            .route("/tasks/{id}", get(api::task))
            .route("/tasks/{id}/events", get(events::task))
            .route("/tools", get(api::tools))
            .route("/events", get(events::tasks));
        if cancel {
            let cancel = post(api::cancel).layer(from_fn(guard::own_page));
            api = api.route("/tasks/{id}/cancel", cancel);
        }
        let api = api
            .layer(DefaultBodyLimit::max(api::MAX_BODY))
            .layer(from_fn(guard::same_site));
        Router::new()
            .route("/", get(assets::page))
            .route("/{file}", get(assets::file))
            .nest("/api", api)
            .fallback(api::nothing_there)
            .method_not_allowed_fallback(api::wrong_method)
            .layer(from_fn_with_state(hosts, guard::guard))
            .with_state(site)
    }
}

/// What all requests share.
struct Site {
    tools: AsyncTools,
    options: Dashboard,
    statistics: Statistics,
    /// One permit for each browser that is kept up to date.
    streams: Arc<Semaphore>,
}

impl Site {
    fn engine(&self) -> &Arc<Engine> {
        &self.tools.shared().server.engine
    }
}
