//! A deployment server: agents bring a directory or a `.tar.gz` into service,
//! and take it back.
//!
//! ```text
//! cargo run --example deploy_server -- --root DIR --artifacts DIR                        # stdio
//! cargo run --example deploy_server -- --root DIR --artifacts DIR --http 127.0.0.1:8000  # streamable HTTP
//! ```
//!
//! Read [`tools`] first: the tools are ordinary async functions. Then, as far
//! as you are curious, what a service looks like on disk and why it is whole at
//! every moment ([`service`]), what an artifact may contain ([`stage`]), where
//! it comes from ([`artifact`], [`archive`]), and how a new release is tried
//! ([`check`]).
//!
//! A health check is a command of the caller's: serve only callers that you
//! trust. Links, modes and renames are Unix's, and so is this example.

mod archive;
mod artifact;
mod blocking;
mod check;
mod deployments;
mod disk;
mod error;
mod name;
#[path = "../shared/process.rs"]
mod process;
mod release;
#[path = "../shared/root.rs"]
mod root;
mod service;
#[path = "../shared/serving.rs"]
mod serving;
mod stage;
mod tools;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use async_tool::{AsyncTools, AsyncToolsBuilder, BoxError, Surface};
use clap::Parser;
use deployments::Deployments;
use serving::Serving;

/// Deploy services for MCP clients.
#[derive(Debug, Parser)]
struct Cli {
    /// Deploy below this directory, which is made if it is missing.
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Deploy what is in this directory, such as what a build has made.
    #[arg(long, value_name = "DIR", default_value = ".")]
    artifacts: PathBuf,
    #[command(flatten)]
    serving: Serving,
}

#[tokio::main]
async fn main() -> ExitCode {
    serving::exit_code(serve(Cli::parse()).await)
}

async fn serve(cli: Cli) -> Result<(), BoxError> {
    serving::log();
    let deployments = Deployments::open(&cli.root, &cli.artifacts)?;
    cli.serving.run(server(deployments), &cli.root).await
}

/// The server, but for where it keeps its tasks.
fn server(deployments: Deployments) -> AsyncToolsBuilder {
    AsyncTools::builder()
        .server_info("deploy-server", env!("CARGO_PKG_VERSION"))
        .instructions(
            "Deploys services and rolls them back. Artifacts are paths relative to the server's \
             directory of artifacts.",
        )
        // For clients that know nothing but tools, and for those that speak the
        // protocol's tasks.
        .surface([Surface::Family, Surface::Native])
        .state(deployments)
}
