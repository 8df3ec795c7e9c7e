//! A client that survives the replica it talks to.

use std::time::Duration;

use async_tool::BoxError;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{RoleClient, ServiceExt, service::RunningService};
use serde_json::{Value, json};
use tokio::time::sleep;

/// How often a call is repeated.
const TRIES: usize = 20;
/// The pause before.
const PAUSE: Duration = Duration::from_millis(250);

/// How a task ended.
pub(crate) struct Report {
    pub(crate) replica: String,
    pub(crate) attempt: u64,
}

pub(crate) struct Client {
    url: String,
    /// Of the version 2026-07-28 of the protocol, or of an older one.
    modern: bool,
}

impl Client {
    pub(crate) fn new(url: &str, modern: bool) -> Self {
        Self {
            url: url.to_owned(),
            modern,
        }
    }

    /// The key makes it safe to repeat the call.
    pub(crate) async fn initiate(&self, number: u64) -> Result<String, BoxError> {
        let arguments = json!({
            "below": 300_000 + number,
            "idempotency_key": format!("{}-{number}", std::process::id()),
        });
        let task = self.call("count_primes_initiate", arguments).await?;
        Ok(task["task_id"].as_str().ok_or("no task id")?.to_owned())
    }

    pub(crate) async fn finish(&self, id: &str) -> Result<Report, BoxError> {
        loop {
            let arguments = json!({"task_id": id, "wait_seconds": 20});
            let task = self.call("count_primes_status", arguments).await?;
            if task["done"] != true {
                continue;
            }
            let replica = task["result"]["replica"].as_str();
            return Ok(Report {
                replica: replica.ok_or_else(|| task.to_string())?.to_owned(),
                attempt: task["attempt"].as_u64().unwrap_or(1),
            });
        }
    }

    /// Calls until there is an answer.
    async fn call(&self, tool: &'static str, arguments: Value) -> Result<Value, BoxError> {
        let mut last = None;
        for _ in 0..TRIES {
            match self.try_call(tool, &arguments).await {
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(error),
            }
            sleep(PAUSE).await;
        }
        Err(last.unwrap_or_else(|| "no answer".into()))
    }

    async fn try_call(&self, tool: &'static str, arguments: &Value) -> Result<Value, BoxError> {
        let service = self.connect().await?;
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let answer = service.call_tool(params).await;
        let _ = service.cancel().await;
        let answer = answer?;
        let structure = answer.structured_content.unwrap_or_default();
        if answer.is_error == Some(true) {
            return Err(structure["error"]["message"].to_string().into());
        }
        Ok(structure)
    }

    async fn connect(&self) -> Result<RunningService<RoleClient, ()>, BoxError> {
        let transport = StreamableHttpClientTransport::from_uri(self.url.clone());
        Ok(if self.modern {
            let modern = ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            };
            ().serve_with_lifecycle(transport, modern).await?
        } else {
            ().serve(transport).await?
        })
    }
}
