//! Tools that give the dashboard something to show.

use std::time::Duration;

use async_tool::{AskError, BoxError, TaskContext, ToolError, async_tool};
use schemars::JsonSchema;
use serde::Deserialize;

/// Compile a project: steps, units, log lines.
#[async_tool(concurrency = 20)]
pub(crate) async fn build(
    /// What to compile.
    project: String,
    /// How many units it has.
    crates: u64,
    /// How long each takes, in milliseconds.
    millis: u64,
    /// Whether it fails when it is linked.
    #[serde(default)]
    broken: bool,
    task: &TaskContext,
) -> Result<String, ToolError> {
    let pause = Duration::from_millis(millis);
    let steps = task
        .progress()
        .weighted_steps([("resolve", 1.0), ("compile", 8.0), ("link", 1.0)]);
    let resolve = || async {
        tokio::time::sleep(pause).await;
        Ok(crates)
    };
    let crates = task.step("resolve", resolve).await?;
    steps.start("compile");
    task.progress().total(crates);
    for number in 0..crates {
        task.check_cancelled()
            .map_err(|it| ToolError::new(it.to_string()))?;
        task.progress()
            .message(format!("compiling {project}-{number}"));
        tokio::time::sleep(pause).await;
        task.log(format!("Compiling {project}-{number} v0.{number}.0"));
        task.progress().inc(1);
    }
    steps.start("link");
    if broken {
        return Err(
            ToolError::new(format!("undefined symbol: {project}_main")).with_code("linker_failed")
        );
    }
    Ok(format!("{project}.tar.gz"))
}

/// Succeed with the third attempt.
#[async_tool(retry(attempts = 3, backoff = "200ms", max_backoff = "200ms"))]
pub(crate) async fn deploy(service: String, task: &TaskContext) -> Result<(), ToolError> {
    let upload = || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(())
    };
    task.step("upload", upload).await?;
    let switch = || async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        Ok::<(), BoxError>(())
    };
    task.step(&format!("switch {}", task.attempt()), switch)
        .await?;
    if task.attempt() < 3 {
        let error = ToolError::new(format!("{service} does not answer"));
        return Err(error.with_code("unhealthy").with_retryable(true));
    }
    Ok(())
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Approval {
    /// Whether to go on.
    #[expect(dead_code, reason = "nobody answers")]
    approved: bool,
}

/// Ask, and wait.
#[async_tool(interactive, on_interrupt = "retry")]
pub(crate) async fn release(version: String, task: &TaskContext) -> Result<(), AskError> {
    let question = format!("Release {version} to everybody?");
    task.ask::<Approval>(question).await.map(drop)
}

/// Say in every place what the caller wants to be said.
#[async_tool]
pub(crate) async fn echo(
    text: String,
    /// Whether to go on until it is cancelled.
    #[serde(default)]
    stay: bool,
    task: &TaskContext,
) -> Result<String, ToolError> {
    let steps = task.progress().steps([text.clone(), "end".to_owned()]);
    steps.next();
    task.progress().message(text.clone());
    task.log(text.clone());
    if stay {
        task.cancelled().await;
    }
    Err(ToolError::new(text.clone()).with_code(text))
}
