//! Real rmcp clients.

use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::transport::{IntoTransport, StreamableHttpClientTransport};
use rmcp::{ClientHandler, RoleClient, ServerHandler, ServiceExt};
use serde_json::{Map, Value, json};

use super::BoxError;
use super::tools::object;

/// A connected client; it and its connection end when it is dropped.
pub(crate) struct Client<H: ClientHandler = ()> {
    service: RunningService<RoleClient, H>,
}

impl Client {
    /// Connects over streamable HTTP.
    pub(crate) async fn http(uri: &str) -> Result<Self, BoxError> {
        Self::connect(StreamableHttpClientTransport::from_uri(uri)).await
    }

    /// Connects over any transport of rmcp.
    pub(crate) async fn connect<T, E, A>(transport: T) -> Result<Self, BoxError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let service = ().serve(transport).await?;
        Ok(Self { service })
    }

    /// Serves a client over a pipe in memory.
    pub(crate) async fn duplex(server: impl ServerHandler) -> Result<Self, BoxError> {
        Client::duplex_with((), server).await
    }
}

impl<H: ClientHandler> Client<H> {
    /// Ends the connection, and the server if it is a child process.
    pub(crate) async fn close(self) -> Result<(), BoxError> {
        self.service.cancel().await?;
        Ok(())
    }

    /// [`duplex`](Client::duplex), for a client that listens.
    pub(crate) async fn duplex_with(
        handler: H,
        server: impl ServerHandler,
    ) -> Result<Self, BoxError> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            if let Ok(service) = server.serve(near).await {
                let _ = service.waiting().await;
            }
        });
        let service = handler.serve(far).await?;
        Ok(Self { service })
    }

    /// Calls a tool; its structured answer. A refusal is an error.
    pub(crate) async fn call(
        &self,
        tool: &'static str,
        arguments: Map<String, Value>,
    ) -> Result<Value, BoxError> {
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = self.service.call_tool(params).await?;
        let answer = result.structured_content.unwrap_or_default();
        if result.is_error == Some(true) {
            return Err(format!("{tool} was refused: {answer}").into());
        }
        Ok(answer)
    }

    /// Initiates a task; its id.
    pub(crate) async fn initiate(
        &self,
        tool: &'static str,
        arguments: Map<String, Value>,
    ) -> Result<String, BoxError> {
        let answer = self.call(tool, arguments).await?;
        match answer.get("task_id").and_then(Value::as_str) {
            Some(id) => Ok(id.to_owned()),
            None => Err(format!("{tool} gave no task_id: {answer}").into()),
        }
    }

    /// Reads a task once.
    pub(crate) async fn status(&self, tool: &'static str, id: &str) -> Result<Value, BoxError> {
        self.call(tool, object(json!({ "task_id": id }))).await
    }

    /// Waits for the end of a task in as few calls as there can be; an error
    /// if it did not complete.
    pub(crate) async fn completed(&self, tool: &'static str, id: &str) -> Result<(), BoxError> {
        loop {
            let arguments = json!({ "task_id": id, "wait_seconds": 50 });
            let answer = self.call(tool, object(arguments)).await?;
            if answer["status"] == "completed" {
                return Ok(());
            }
            if answer["done"] == true {
                return Err(format!("a task did not complete: {answer}").into());
            }
        }
    }
}
