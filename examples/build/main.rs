//! Builds a Cargo project through the build server, and shows how it goes.
//!
//! ```text
//! cargo run --example build -- PATH [--release] [--features a,b]
//! ```
//!
//! The server is this same program, started as a child process that speaks MCP
//! on its standard input and output, as a host would start it. What a program
//! does with an asynchronous tool is in `follow` below: call `build_initiate`,
//! then `build_status` until the task is done. Ctrl-C calls `build_cancel`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

#[path = "../build_tools/mod.rs"]
mod build_tools;
mod client;
mod display;
mod report;
#[path = "../shared/store.rs"]
mod store;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use async_tool::{AsyncTools, BoxError};
use build_tools::report::BuildReport;
use build_tools::workspace::Workspace;
use clap::Parser;
use client::{BuildServer, Snapshot, Status};
use display::Display;
use tokio::signal::ctrl_c;

/// Status is asked for this often, to keep the bar moving. A model, for which
/// each call costs a turn, waits as long as it may instead.
const REFRESH: Duration = Duration::from_millis(300);
/// What shells report of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Build a Cargo project through an MCP server.
#[derive(Debug, Parser)]
struct Cli {
    /// Directory of the project; the sample project if left out.
    #[arg(default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample_project"))]
    project: PathBuf,
    /// Compile with optimisations.
    #[arg(long)]
    release: bool,
    /// Features to enable, separated by commas.
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// Be the server, of the projects below this directory.
    #[arg(long, hide = true, value_name = "ROOT")]
    serve: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.serve {
        Some(root) => serve(root).await,
        None => build(&cli).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// The server side, complete.
async fn serve(root: &Path) -> Result<ExitCode, BoxError> {
    let builder = AsyncTools::builder()
        .tool(build_tools::BuildTool)
        .state(Workspace::open(root)?)
        .single_user();
    let builder = store::attach(builder, None, root).await?;
    builder.build().await?.serve_stdio().await?;
    Ok(ExitCode::SUCCESS)
}

/// The client side.
async fn build(cli: &Cli) -> Result<ExitCode, BoxError> {
    let project = cli.project.canonicalize().map_err(|error| {
        let project = cli.project.display();
        format!("cannot open the project `{project}`: {error}")
    })?;
    let server = BuildServer::start(&project).await?;
    let ended = follow(&server, &project, cli, ctrl_c()).await;
    server.close().await;

    let task = ended?;
    if let Some(result) = &task.result {
        report::print(result);
    }
    if let Some(failure) = &task.error {
        report::print_failure(failure);
    }
    Ok(match task.status {
        Status::Completed => ExitCode::SUCCESS,
        Status::Cancelled => {
            eprintln!("cancelled: {}", task.message);
            ExitCode::from(INTERRUPTED)
        }
        _ => ExitCode::FAILURE,
    })
}

/// Starts a build and follows it to its end; cancels it when `interrupted`
/// completes.
async fn follow(
    server: &BuildServer,
    project: &Path,
    cli: &Cli,
    interrupted: impl Future<Output = io::Result<()>>,
) -> Result<Snapshot<BuildReport>, BoxError> {
    let mut interrupted = pin!(interrupted);
    let mut cancelling = false;
    let mut display = Display::new();

    let mut task = server.initiate(project, cli.release, &cli.features).await?;
    while !task.done {
        display.show(&task);
        task = tokio::select! {
            snapshot = server.status(&task.task_id, REFRESH) => snapshot?,
            signal = &mut interrupted, if !cancelling => {
                signal?;
                cancelling = true;
                server.cancel(&task.task_id, "interrupted with Ctrl-C").await?
            }
        };
    }
    display.finish();
    Ok(task)
}
