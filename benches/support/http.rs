//! Servers on loopback.

use async_tool::AsyncTools;
use axum::Router;
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::BoxError;

/// A streamable HTTP server on a free port of the loopback interface, as
/// rmcp's documentation sets it up. It ends when it is dropped.
pub(crate) struct HttpServer {
    pub(crate) uri: String,
    serving: JoinHandle<()>,
}

impl HttpServer {
    pub(crate) async fn start<H>(handler: H) -> Result<Self, BoxError>
    where
        H: ServerHandler + Clone,
    {
        Self::serve(Router::new().nest_service("/mcp", service(handler))).await
    }

    /// Tools of ours, with the layer that goes around the service.
    pub(crate) async fn of(tools: AsyncTools) -> Result<Self, BoxError> {
        let layer = tools.http_layer();
        Self::serve(Router::new().nest_service("/mcp", layer.layer(service(tools)))).await
    }

    async fn serve(router: Router) -> Result<Self, BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let uri = format!("http://{}/mcp", listener.local_addr()?);
        let serving = tokio::spawn(async move {
            // Ends with the process or by being aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { uri, serving })
    }
}

fn service<H>(handler: H) -> StreamableHttpService<H, LocalSessionManager>
where
    H: ServerHandler + Clone,
{
    StreamableHttpService::new(
        move || Ok(handler.clone()),
        LocalSessionManager::default().into(),
        StreamableHttpServerConfig::default(),
    )
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
