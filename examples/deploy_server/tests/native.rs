//! A client that speaks the protocol's own tasks.

use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, ClientConfig, GetTaskParams,
    Implementation, ProtocolVersion, TaskPayload, UpdateTaskParams,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt, RunningService};
use rmcp::transport::IntoTransport;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// How long anything may take, on a machine that has a lot to do.
const LONG: Duration = Duration::from_secs(60);

pub(super) struct Native(RunningService<RoleClient, ClientConfig>);

impl Native {
    pub(super) async fn connect<E, A>(transport: impl IntoTransport<RoleClient, E, A>) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let capabilities = ClientCapabilities::builder()
            .enable_tasks()
            .enable_elicitation()
            .build();
        let client = ClientConfig::new(capabilities, Implementation::new("test", "0"));
        let modern = ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        };
        Self(
            client
                .serve_with_lifecycle(transport, modern)
                .await
                .unwrap(),
        )
    }

    /// Starts a deployment of the artifact `app`; the task's id.
    pub(super) async fn deploy(&self, environment: &str) -> String {
        let arguments = json!({
            "environment": environment, "service": "web", "artifact": "app",
        });
        let arguments = arguments.as_object().unwrap().clone();
        let params = CallToolRequestParams::new("deploy").with_arguments(arguments);
        match self.0.call_tool_once(params).await.unwrap() {
            CallToolResponse::Task(created) => created.task.task_id,
            other => panic!("no task: {other:?}"),
        }
    }

    /// Waits until the task asks; the question's key, and its form.
    pub(super) async fn asked(&self, id: &str) -> (String, Value) {
        match self.until(id, "input_required").await {
            TaskPayload::InputRequired { input_requests } => {
                let (key, request) = input_requests.into_iter().next().unwrap();
                (key, serde_json::to_value(request).unwrap())
            }
            other => panic!("no question: {other:?}"),
        }
    }

    pub(super) async fn answer(&self, id: &str, key: &str, answer: Value) {
        let answers = [(key.to_owned(), answer)].into();
        let params = UpdateTaskParams::new(id, answers);
        self.0.update_task(params).await.unwrap();
    }

    /// Waits for the end; the tool's result.
    pub(super) async fn finish(&self, id: &str) -> Value {
        match self.until(id, "completed").await {
            TaskPayload::Completed { result } => result.into(),
            other => panic!("no result: {other:?}"),
        }
    }

    async fn until(&self, id: &str, status: &str) -> TaskPayload {
        let polling = async {
            loop {
                let task = self.0.get_task(GetTaskParams::new(id)).await.unwrap().task;
                if json!(task.task.status) == status {
                    return task.payload;
                }
                assert_ne!(json!(task.task.status), "cancelled");
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, polling).await.expect("it gets there")
    }
}
