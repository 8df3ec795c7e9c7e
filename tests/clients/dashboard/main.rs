//! The server whose dashboard the tests look at with a browser.
//!
//! It serves a free port of loopback: MCP without sessions at `/mcp`, the
//! dashboard below `/ops/dashboard`. It says its URL on its standard output, and
//! ends with its standard input, so that it does not outlive whoever started it.

mod tools;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use async_tool::dashboard::Dashboard;
use async_tool::{AsyncTools, BoxError};
use axum::Router;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let tools = AsyncTools::builder()
        .server_info("dashboard-fixture", env!("CARGO_PKG_VERSION"))
        .single_user()
        .drain(Duration::ZERO)
        .build()
        .await?;
    let mut config = StreamableHttpServerConfig::default();
    config.legacy_session_mode = false;
    config.json_response = true;
    let handler = tools.clone();
    let mcp = tools.http_layer().layer(StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    ));
    let dashboard = Dashboard::new().allow_cancel().max_streams(3);
    let app = Router::new()
        .nest_service("/mcp", mcp)
        .nest_service("/ops/dashboard", dashboard.router(&tools));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            let mut input = tokio::io::stdin();
            while input.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
            tools.shutdown().await;
        })
        .await?;
    Ok(())
}
