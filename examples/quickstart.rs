//! The smallest server: one async function becomes three MCP tools.
//!
//! `count_down_initiate` answers at once, `count_down_status` tells how far
//! the task is and waits if asked to, `count_down_cancel` stops it.

use std::time::Duration;

use async_tool::{AsyncTools, BoxError, Cancelled, TaskContext, async_tool};

/// Count down, one number a second.
#[async_tool(timeout = "10m")]
async fn count_down(
    /// The number to start from.
    #[schemars(range(min = 1, max = 500))]
    from: u32,
    task: &TaskContext,
) -> Result<String, Cancelled> {
    task.progress().total(from.into());
    for number in (1..=from).rev() {
        task.progress().message(number.to_string());
        tokio::time::sleep(Duration::from_secs(1)).await;
        task.progress().inc(1);
        task.check_cancelled()?;
    }
    Ok("Lift-off!".to_owned())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    AsyncTools::builder().build().await?.serve_stdio().await?;
    Ok(())
}
