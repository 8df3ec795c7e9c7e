//! A build server: agents compile and test the Cargo projects below a
//! directory, without waiting for an answer longer than a moment.
//!
//! ```text
//! cargo run --example build_server -- --root DIR                        # stdio
//! cargo run --example build_server -- --root DIR --http 127.0.0.1:8000  # streamable HTTP
//! ```
//!
//! The tools are in `../build_tools`; this is all that serving them takes.
//! Building a project runs its code: serve only projects that you trust, to
//! callers that you trust.
#![expect(clippy::print_stderr, reason = "a program for the terminal")]

#[path = "../build_tools/mod.rs"]
mod build_tools;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_tool::{AsyncTools, BoxError};
use axum::Router;
use build_tools::workspace::Workspace;
use clap::Parser;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;
use tracing_subscriber::EnvFilter;

/// Build Cargo projects for MCP clients.
#[derive(Debug, Parser)]
struct Cli {
    /// Serve the projects below this directory.
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Serve streamable HTTP at this address, path `/mcp`, instead of stdio.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(cli: Cli) -> Result<(), BoxError> {
    // Standard output belongs to the protocol. Beware of `debug` for rmcp: it
    // logs whole messages, arguments and results included.
    let filter = EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("info,rmcp=warn")))
        .with_writer(std::io::stderr)
        .init();

    let tools = AsyncTools::builder()
        .server_info("build-server", env!("CARGO_PKG_VERSION"))
        .instructions("Compiles and tests Cargo projects. Paths are relative to the server's root.")
        .state(Workspace::open(&cli.root)?)
        // A build that is cut short is simply started again.
        .drain(Duration::ZERO)
        .build()
        .await?;
    match cli.http {
        Some(address) => serve_http(tools, address).await,
        None => serve_stdio(tools).await,
    }
}

async fn serve_stdio(tools: AsyncTools) -> Result<(), BoxError> {
    tokio::select! {
        served = tools.clone().serve_stdio() => served?,
        // Someone tries it out in a terminal.
        () = asked_to_stop() => tools.shutdown().await,
    }
    Ok(())
}

async fn serve_http(tools: AsyncTools, address: SocketAddr) -> Result<(), BoxError> {
    let config = StreamableHttpServerConfig::default();
    let sessions = config.cancellation_token.clone();
    let handler = tools.clone();
    let service = StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen at {address}: {error}"))?;
    tracing::info!("serving http://{}/mcp", listener.local_addr()?);
    axum::serve(listener, Router::new().nest_service("/mcp", service))
        .with_graceful_shutdown(async move {
            asked_to_stop().await;
            tools.shutdown().await;
            sessions.cancel();
        })
        .await?;
    Ok(())
}

/// Completes with Ctrl-C or SIGTERM. A server that let them end the process
/// would leave its compilers running.
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
