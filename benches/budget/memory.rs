//! Memory that a retained task takes.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::row;
use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::tools::{echo, echo_server};

const WARM_UP: usize = 2_000;
const TASKS: usize = 100_000;
/// Calls that are made at the same time.
const AT_ONCE: usize = 8;

pub(crate) async fn run() -> Result<(), BoxError> {
    // Arguments of 100 bytes of JSON, and as many of result.
    let overhead = serde_json::to_string(&echo(""))?.len();
    let text = "x".repeat(100 - overhead);
    let tools = echo_server().await?;
    fill(&tools, &text, WARM_UP).await?;
    let before = resident()?;
    fill(&tools, &text, TASKS).await?;
    // Ends when no task runs any more.
    tools.shutdown().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let after = resident()?;

    let each = after.saturating_sub(before) / TASKS;
    row(
        "RSS of a retained task (100 B in, 100 B out), 100 000 of them",
        &format!("{each} bytes"),
        "<= 1024 bytes",
    );
    Ok(())
}

async fn fill(tools: &async_tool::AsyncTools, text: &str, tasks: usize) -> Result<(), BoxError> {
    let mut callers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let client = Client::duplex(tools.clone()).await?;
        let arguments = echo(text);
        callers.spawn(async move {
            for _ in 0..tasks / AT_ONCE {
                client.call("echo_initiate", arguments.clone()).await?;
            }
            Ok::<(), BoxError>(())
        });
    }
    callers.join_all().await.into_iter().collect()
}

/// Resident memory of this process, in bytes.
fn resident() -> Result<usize, BoxError> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .ok_or("this system does not tell the resident memory")?;
    Ok(kilobytes.parse::<usize>()? * 1024)
}
