//! Builds a Cargo project through the build server, and shows how it goes.
//!
//! ```text
//! cargo run --example build -- PATH [--release] [--features a,b]
//! ```
//!
//! The server is this same program, started as a child process that speaks MCP
//! on its standard input and output, as a host would start it. What a program
//! does with an asynchronous tool is in `follow` below: call it, look at its
//! progress until there is no more, and take its result. Ctrl-C cancels it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

#[path = "../build_tools/mod.rs"]
mod build_tools;
mod display;
mod report;
#[path = "../shared/store.rs"]
mod store;

#[cfg(test)]
mod tests;

use std::future::pending;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use async_tool::client::{CallError, TaskClient};
use async_tool::{AsyncTools, BoxError};
use build_tools::report::BuildReport;
use build_tools::workspace::Workspace;
use build_tools::{BuildInput, BuildTool};
use clap::Parser;
use display::Display;
use rmcp::service::RunningService;
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt};
use tokio::process::Command;
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
        None => build(cli).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// The server side, complete.
async fn serve(root: &Path) -> Result<ExitCode, BoxError> {
    let builder = AsyncTools::builder()
        .tool(BuildTool)
        .state(Workspace::open(root)?)
        .single_user();
    let builder = store::attach(builder, None, root).await?;
    builder.build().await?.serve_stdio().await?;
    Ok(ExitCode::SUCCESS)
}

/// The client side.
async fn build(cli: Cli) -> Result<ExitCode, BoxError> {
    let project = cli.project.canonicalize().map_err(|error| {
        let project = cli.project.display();
        format!("cannot open the project `{project}`: {error}")
    })?;
    let tasks = TaskClient::new(start_server(&project).await?).with_refresh(REFRESH);
    let input = BuildInput {
        project,
        release: cli.release,
        features: cli.features,
    };
    let built = follow(&tasks, input, interrupted()).await;
    tasks.close().await;

    match built {
        Ok(report) => {
            report::print(&report);
            Ok(ExitCode::SUCCESS)
        }
        Err(CallError::Failed { failure, .. }) => {
            report::print_failure(&failure);
            Ok(ExitCode::FAILURE)
        }
        Err(CallError::Cancelled { reason, .. }) => {
            eprintln!("cancelled: {reason}");
            Ok(ExitCode::from(INTERRUPTED))
        }
        Err(error) => Err(error.into()),
    }
}

/// Starts this program once more, as the server of the projects below `root`.
async fn start_server(root: &Path) -> Result<RunningService<RoleClient, ()>, BoxError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--serve").arg(root);
    // The terminal sends Ctrl-C to a whole process group; only this program
    // shall hear it, and cancel the build in order.
    #[cfg(unix)]
    command.process_group(0);
    Ok(().serve(TokioChildProcess::new(command)?).await?)
}

/// Completes with Ctrl-C.
async fn interrupted() {
    if let Err(error) = ctrl_c().await {
        eprintln!("Ctrl-C will not cancel the build: {error}");
        pending::<()>().await;
    }
}

/// Starts a build and follows it to its end; cancels it when `interrupted`
/// completes.
async fn follow(
    tasks: &TaskClient,
    input: BuildInput,
    interrupted: impl Future<Output = ()>,
) -> Result<BuildReport, CallError> {
    let mut interrupted = pin!(interrupted);
    let mut cancelling = false;
    let mut display = Display::new();

    let mut task = tasks.call::<BuildTool>(input).start().await?;
    loop {
        tokio::select! {
            snapshot = task.next() => match snapshot {
                Some(snapshot) => display.show(&snapshot?),
                None => break,
            },
            () = &mut interrupted, if !cancelling => {
                cancelling = true;
                task.cancel("interrupted with Ctrl-C").await?;
            }
        }
    }
    display.finish();
    task.await
}
