//! Memory that a retained task takes, and the disk.

use std::time::Duration;

use async_tool::AsyncTools;
use tokio::task::JoinSet;

use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::tools::{echo, echo_server, echo_server_on};
use crate::{disk, process, row};

const WARM_UP: usize = 2_000;
const TASKS: usize = 100_000;
/// Calls that are made at the same time; more where they share the waiting.
const AT_ONCE: usize = 8;
const AT_ONCE_ON_DISK: usize = 64;

/// The part that has tasks in a file.
pub(crate) const PART: &str = "memory-sqlite";

pub(crate) async fn run() -> Result<(), BoxError> {
    let each = grown(echo_server().await?, AT_ONCE).await?;
    row(
        "RSS of a retained task (100 B in, 100 B out), 100 000 of them",
        &format!("{each} bytes"),
        "<= 1024 bytes",
    );
    process::part(PART)
}

pub(crate) async fn run_sqlite() -> Result<(), BoxError> {
    let directory = disk::directory()?;
    let store = disk::new_store(&directory, "tasks.db").await?;
    let tools = echo_server_on(store.clone()).await?;
    let each = grown(tools, AT_ONCE_ON_DISK).await?;
    row(
        "the same on SQLite",
        &format!("{each} bytes"),
        "none, reported",
    );
    store.close().await;
    let file = usize::try_from(disk::size(&directory.path().join("tasks.db")))?;
    row(
        "and in its file",
        &format!("{} bytes", file / (WARM_UP + TASKS)),
        "none, reported",
    );
    Ok(())
}

/// By how much this process grows with each retained task.
async fn grown(tools: AsyncTools, at_once: usize) -> Result<usize, BoxError> {
    // Arguments of 100 bytes of JSON, and as many of result.
    let overhead = serde_json::to_string(&echo(""))?.len();
    let text = "x".repeat(100 - overhead);
    fill(&tools, &text, WARM_UP, at_once).await?;
    let before = resident()?;
    fill(&tools, &text, TASKS, at_once).await?;
    // Ends when no task runs any more.
    tools.shutdown().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let after = resident()?;

    Ok(after.saturating_sub(before) / TASKS)
}

async fn fill(
    tools: &AsyncTools,
    text: &str,
    tasks: usize,
    at_once: usize,
) -> Result<(), BoxError> {
    let mut callers = JoinSet::new();
    for _ in 0..at_once {
        let client = Client::duplex(tools.clone()).await?;
        let arguments = echo(text);
        callers.spawn(async move {
            for _ in 0..tasks / at_once {
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
