//! How the servers of the examples are served: over stdio, or over HTTP.

#[path = "http.rs"]
pub(crate) mod http;
#[path = "store.rs"]
mod store;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use async_tool::{AsyncTools, AsyncToolsBuilder, BoxError};
use axum::Router;
use clap::Args;
use http::{Http, collect_metrics};
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// What `shutdown` answered is still on its way to the clients when it returns:
/// rmcp writes answers in tasks of its own, and ending its sessions drops those
/// that are not written yet.
const LAST_WORDS: Duration = Duration::from_millis(150);

/// Where tasks are kept, and what this process does with them.
#[derive(Debug, Args)]
pub(crate) struct Serving {
    #[command(flatten)]
    http: Http,
    /// Keep tasks in this store (`sqlite:PATH`, `memory:`, and with their
    /// features `postgres://…` and `redis://…`) instead of the file
    /// `.async-tool/tasks.db` in the root.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Serve, and leave the execution of tasks to workers of the same store.
    #[arg(long)]
    serve_only: bool,
    /// Execute the tasks that servers of the same store accept, and serve
    /// nobody.
    #[arg(long, conflicts_with_all = ["http", "serve_only"])]
    worker: bool,
    /// How long until a worker that is not heard of is taken for dead. For
    /// tests, which have no time.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, hide = true)]
    lease: Option<Duration>,
}

impl Serving {
    /// Serves, or works, until the client leaves, Ctrl-C or SIGTERM.
    pub(crate) async fn run(self, builder: AsyncToolsBuilder, root: &Path) -> Result<(), BoxError> {
        let callers = self.http.callers()?;
        let builder = callers.known_to(builder);
        let mut builder = store::attach(builder, self.store.as_deref(), root).await?;
        if self.serve_only {
            builder = builder.slots(0);
        }
        if let Some(lease) = self.lease {
            builder = builder.lease(lease);
        }
        let Some(address) = self.http.address() else {
            let tools = builder.build().await?;
            if self.worker {
                tools.run_worker().await;
            } else {
                tools.serve_stdio().await?;
            }
            return Ok(());
        };
        // Before there is anything to measure.
        let metrics = collect_metrics()?;
        let tools = builder.build().await?;
        let stop = CancellationToken::new();
        let router = self.http.router(&tools, callers, metrics, stop.clone());
        serve_http(tools, router, address, stop).await
    }
}

/// Logs to standard error: standard output belongs to the protocol.
pub(crate) fn log() {
    // Beware of `debug` for rmcp: it logs whole messages, arguments and
    // results included.
    let filter = EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("info,rmcp=warn")))
        .with_writer(std::io::stderr)
        .init();
}

/// What the process answers its caller.
#[expect(clippy::print_stderr, reason = "a program for the terminal")]
pub(crate) fn exit_code(served: Result<(), BoxError>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve_http(
    tools: AsyncTools,
    router: Router,
    address: SocketAddr,
    sessions: CancellationToken,
) -> Result<(), BoxError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen at {address}: {error}"))?;
    tracing::info!("serving http://{}/mcp", listener.local_addr()?);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            asked_to_stop().await;
            tools.shutdown().await;
            tokio::time::sleep(LAST_WORDS).await;
            sessions.cancel();
        })
        .await?;
    Ok(())
}

/// Completes with Ctrl-C or SIGTERM. A server that let them end the process
/// would leave the processes of its tools running.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = ctrl_c().await;
}
