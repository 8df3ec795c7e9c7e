//! A client of the tool `build`, over nothing but MCP.

use std::path::Path;
use std::time::Duration;

use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::transport::{IntoTransport, TokioChildProcess};
use rmcp::{RoleClient, ServiceExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::BoxError;

/// A connection to a build server that runs as a child process.
pub(crate) struct BuildServer {
    service: RunningService<RoleClient, ()>,
}

/// A task at one moment: what each tool of a family answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Snapshot<R> {
    pub(crate) task_id: String,
    pub(crate) status: Status,
    /// The status will not change any more.
    pub(crate) done: bool,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) progress: Progress,
    pub(crate) eta_seconds: Option<u64>,
    /// Of a completed task.
    pub(crate) result: Option<R>,
    /// Of a failed task.
    pub(crate) error: Option<Failure>,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Queued,
    Working,
    InputRequired,
    Completed,
    Failed,
    Cancelled,
}

/// How far a task is. All of it is absent until the task says so.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Progress {
    /// Units done in the present step.
    pub(crate) current: Option<u64>,
    /// Units in the present step.
    pub(crate) total: Option<u64>,
    pub(crate) step: Option<String>,
    /// 1 is the first.
    pub(crate) step_number: Option<u64>,
    pub(crate) step_count: Option<u64>,
}

/// Why a task failed or a call was refused.
#[derive(Debug, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) details: Value,
}

impl BuildServer {
    /// Starts this program once more, as the server of the projects below
    /// `root`.
    pub(crate) async fn start(root: &Path) -> Result<Self, BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--serve").arg(root);
        // The terminal sends Ctrl-C to a whole process group; only this
        // program shall hear it, and cancel the build in order.
        #[cfg(unix)]
        command.process_group(0);
        Self::connect(TokioChildProcess::new(command)?).await
    }

    /// Shakes hands with a server at the other end of `transport`.
    pub(crate) async fn connect<T, E, A>(transport: T) -> Result<Self, BoxError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let service = ().serve(transport).await?;
        Ok(Self { service })
    }

    /// Starts a build; answers at once.
    pub(crate) async fn initiate<R: DeserializeOwned>(
        &self,
        project: &Path,
        release: bool,
        features: &[String],
    ) -> Result<Snapshot<R>, BoxError> {
        let arguments = json!({ "project": project, "release": release, "features": features });
        self.call("build_initiate", arguments).await
    }

    /// How the build is, as soon as it has ended or `wait` is over.
    pub(crate) async fn status<R: DeserializeOwned>(
        &self,
        task_id: &str,
        wait: Duration,
    ) -> Result<Snapshot<R>, BoxError> {
        let arguments = json!({ "task_id": task_id, "wait_seconds": wait.as_secs_f64() });
        self.call("build_status", arguments).await
    }

    /// Asks the build to stop.
    pub(crate) async fn cancel<R: DeserializeOwned>(
        &self,
        task_id: &str,
        reason: &str,
    ) -> Result<Snapshot<R>, BoxError> {
        let arguments = json!({ "task_id": task_id, "reason": reason });
        self.call("build_cancel", arguments).await
    }

    /// Closes the connection, which is what makes the server end.
    pub(crate) async fn close(self) {
        // A server that has ended already is no concern any more.
        let _ = self.service.cancel().await;
    }

    async fn call<R: DeserializeOwned>(
        &self,
        tool: &'static str,
        arguments: Value,
    ) -> Result<Snapshot<R>, BoxError> {
        /// The form of a refused call.
        #[derive(Deserialize)]
        struct Refusal {
            error: Failure,
        }

        let mut request = CallToolRequestParams::new(tool);
        request.arguments = arguments.as_object().cloned();
        let answer = self.service.call_tool(request).await?;
        let refused = answer.is_error == Some(true);
        let content = answer.structured_content.unwrap_or_default();
        if refused {
            let refusal: Refusal = serde_json::from_value(content)?;
            return Err(refusal.error.into());
        }
        Ok(serde_json::from_value(content)?)
    }
}
