//! The baseline: a server whose author wrote the start and status tools by
//! hand, with the fields that ours have, and no wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{PER_STEP, SECONDS, STEPS};

/// One job, which nobody executes: the clock tells how far it is.
#[derive(Clone, Default)]
pub(super) struct ByHand {
    job: Arc<Mutex<Option<Instant>>>,
}

const ID: &str = "0a4c2f1e-7d3b-4c55-9e1f-3f2a6b7c8d90";

impl ServerHandler for ByHand {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let answer = match &*request.name {
            "job_start" => {
                *self.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                json!({
                    "task_id": ID, "status": "working", "done": false, "revision": 2,
                    "poll_after_seconds": 1, "tool": "job",
                    "next": "Call job_status with this task_id until done is true.",
                    "created_at": now(),
                })
            }
            _ => self.status(),
        };
        let text = answer.to_string();
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

impl ByHand {
    fn status(&self) -> Value {
        let started = *self.job.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = started.map_or(0, |started| started.elapsed().as_secs());
        if elapsed >= SECONDS {
            return json!({
                "task_id": ID, "status": "completed", "done": true, "revision": 6,
                "created_at": now(), "started_at": now(), "finished_at": now(),
                "expires_at": now(), "result": {"artifacts": 3, "bytes": 1_048_576},
            });
        }
        let step = elapsed / PER_STEP;
        let index = usize::try_from(step).unwrap_or_default();
        let fraction = f64::from(u32::try_from(elapsed).unwrap_or_default())
            / f64::from(u32::try_from(SECONDS).unwrap_or(1));
        json!({
            "task_id": ID, "status": "working", "done": false, "revision": 3 + step,
            "message": super::message(elapsed % PER_STEP),
            "progress": {
                "fraction": (fraction * 1000.0).floor() / 1000.0,
                "current": elapsed % PER_STEP, "total": PER_STEP,
                "step": STEPS[index], "step_number": step + 1, "step_count": STEPS.len(),
            },
            "eta_seconds": SECONDS - elapsed, "poll_after_seconds": 8,
        })
    }
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
