//! How much a model reads to see one job of a minute through, the list of tools
//! apart.

mod by_hand;
mod ours;

use std::time::Duration;

use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::{RunningService, ServiceExt};
use rmcp::{RoleClient, ServerHandler};
use serde_json::{Map, Value, json};

use super::support::BoxError;
use by_hand::ByHand;

/// How long the job takes, in seconds, and each of its steps.
const SECONDS: u64 = 60;
const PER_STEP: u64 = 20;
const STEPS: [&str; 3] = ["check", "compile", "package"];

fn message(unit: u64) -> String {
    format!("unit {unit} of the step")
}

/// What a model reads and does.
#[derive(Default, Clone, Copy)]
struct Cost {
    calls: u32,
    /// Of results, as text.
    bytes: usize,
}

struct Model {
    client: RunningService<RoleClient, ()>,
    cost: Cost,
}

impl Model {
    async fn of(server: impl ServerHandler) -> Result<Self, BoxError> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            if let Ok(service) = server.serve(near).await {
                let _ = service.waiting().await;
            }
        });
        Ok(Self {
            client: ().serve(far).await?,
            cost: Cost::default(),
        })
    }

    /// Calls a tool and reads the answer.
    async fn call(&mut self, name: &'static str, arguments: Value) -> Result<Value, BoxError> {
        let arguments: Map<String, Value> = serde_json::from_value(arguments)?;
        let params = CallToolRequestParams::new(name).with_arguments(arguments);
        let text = text(&self.client.call_tool(params).await?);
        self.cost.calls += 1;
        self.cost.bytes += text.len();
        Ok(serde_json::from_str(&text)?)
    }
}

fn text(result: &CallToolResult) -> String {
    let blocks = result.content.iter();
    blocks
        .filter_map(|block| block.as_text().map(|text| text.text.as_str()))
        .collect()
}

/// Polls a server that cannot wait, with these pauses, the last one repeated.
async fn by_hand(pauses: &[u64]) -> Result<Cost, BoxError> {
    let mut model = Model::of(ByHand::default()).await?;
    let job = model.call("job_start", json!({})).await?;
    let mut pauses = pauses.iter().copied();
    let mut pause = 1;
    loop {
        pause = pauses.next().unwrap_or(pause);
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let arguments = json!({"task_id": job["task_id"]});
        if model.call("job_status", arguments).await?["done"] == true {
            return Ok(model.cost);
        }
    }
}

/// Does what the first answer says: waits in the status tool.
async fn family(initiate: &'static str, status: &'static str) -> Result<Cost, BoxError> {
    let mut model = Model::of(ours::server().await).await?;
    let job = model.call(initiate, json!({})).await?;
    loop {
        let arguments = json!({"task_id": job["task_id"], "wait_seconds": 50});
        if model.call(status, arguments).await?["done"] == true {
            return Ok(model.cost);
        }
    }
}

/// The host polls; the model calls once and reads the result.
async fn native() -> Result<Cost, BoxError> {
    let mut model = Model::of(ours::server().await).await?;
    model.call("job", json!({})).await?;
    Ok(model.cost)
}

/// On a paused clock: the minute passes at once.
pub(crate) fn run() -> Result<(), BoxError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()?
        .block_on(measure())
}

async fn measure() -> Result<(), BoxError> {
    let naive = by_hand(&[1]).await?;
    let exponential = by_hand(&[1, 2, 4, 8, 16, 30]).await?;
    let plain = family("job_initiate", "job_status").await?;
    let inline = family("inline_job_initiate", "inline_job_status").await?;
    for (what, cost, budget) in [
        ("by hand, every second", naive, "-"),
        ("by hand, 1, 2, 4 ... 30 s", exponential, "-"),
        ("the family", plain, "<= 40 %, a third of the calls"),
        (
            "the family, `inline = \"15s\"`",
            inline,
            "<= 40 %, a third of the calls",
        ),
        ("native", native().await?, "<= 20 %"),
    ] {
        report(what, cost, exponential, budget);
    }
    Ok(())
}

fn report(what: &str, cost: Cost, baseline: Cost, budget: &str) {
    let share = 100 * cost.bytes / baseline.bytes;
    super::row(
        &format!("a minute's job, {what}"),
        &format!("{} calls, {} B ({share} %)", cost.calls, cost.bytes),
        budget,
    );
}
