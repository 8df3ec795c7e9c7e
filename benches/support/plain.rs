//! What an initiate is compared with: an rmcp tool without any machinery,
//! whose arguments and answers are of the same bytes.

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{ServerCapabilities, ServerConfig};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::Serialize;

use super::tools::Echo;

/// The first snapshot of a task, with constants for what is found out there.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FirstSnapshot {
    task_id: String,
    status: String,
    done: bool,
    revision: u64,
    poll_after_seconds: u64,
    tool: String,
    next: String,
    created_at: String,
}

/// Serves `echo_initiate` and executes nothing.
#[derive(Clone)]
pub(crate) struct PlainServer {
    tool_router: ToolRouter<Self>,
}

impl PlainServer {
    pub(crate) fn new() -> Self {
        Self {
            tool_router: Self::tool_router(),
        }
    }
}

#[tool_router]
impl PlainServer {
    #[tool(description = "Return a text.")]
    async fn echo_initiate(&self, Parameters(input): Parameters<Echo>) -> Json<FirstSnapshot> {
        std::hint::black_box(input.text);
        Json(FirstSnapshot {
            task_id: "0a4c1f7e5b9d4e3f8a6b2c1d0e9f8a7b".to_owned(),
            status: "working".to_owned(),
            done: false,
            revision: u64::from(input.times) + 1,
            poll_after_seconds: 1,
            tool: "echo".to_owned(),
            next: "Call echo_status with this task_id and wait_seconds=50 until done is true."
                .to_owned(),
            created_at: "2026-07-28T12:34:56.789Z".to_owned(),
        })
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for PlainServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}
