//! A build server: agents compile and test the Cargo projects below a
//! directory, without waiting for an answer longer than a moment.
//!
//! ```text
//! cargo run --example build_server -- --root DIR                        # stdio
//! cargo run --example build_server -- --root DIR --http 127.0.0.1:8000  # streamable HTTP
//! ```
//!
//! The tools are in `../build_tools`; this is all that serving them takes.
//! Building a project runs its code: serve only projects that you trust, to
//! callers that you trust.

#[path = "../build_tools/mod.rs"]
mod build_tools;
#[path = "../shared/serving.rs"]
mod serving;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use async_tool::{AsyncTools, BoxError, Surface};
use build_tools::workspace::Workspace;
use clap::Parser;
use serving::Serving;

/// Build Cargo projects for MCP clients.
#[derive(Debug, Parser)]
struct Cli {
    /// Serve the projects below this directory.
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    #[command(flatten)]
    serving: Serving,
}

#[tokio::main]
async fn main() -> ExitCode {
    serving::exit_code(serve(Cli::parse()).await)
}

async fn serve(cli: Cli) -> Result<(), BoxError> {
    serving::log();
    let builder = AsyncTools::builder()
        .server_info("build-server", env!("CARGO_PKG_VERSION"))
        .instructions("Compiles and tests Cargo projects. Paths are relative to the server's root.")
        // For clients that know nothing but tools, and for those that speak the
        // protocol's tasks.
        .surface([Surface::Family, Surface::Native])
        .state(Workspace::open(&cli.root)?)
        // A build that is cut short is simply started again.
        .drain(Duration::ZERO);
    cli.serving.run(builder, &cli.root).await
}
