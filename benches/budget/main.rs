//! Measures what the performance budget is about, on whole servers with real
//! clients: `cargo bench --bench budget -- [MODE...]`; see `BENCHMARKS.md`.
//!
//! Each mode runs in a process of its own. The exit status is 1 if anything
//! went wrong; being above budget is reported and no error, for the machine
//! may be busy.
#![allow(clippy::print_stdout, reason = "the report is the purpose")]
#![allow(clippy::print_stderr, reason = "errors of a program")]

mod compare;
mod idle;
mod initiate;
mod load;
mod memory;
mod sqlite;
mod status;
#[allow(dead_code, reason = "shared with the other bench")]
#[path = "../support/mod.rs"]
mod support;

use std::env;
use std::process::{Command, ExitCode};

use support::BoxError;

const MODES: [&str; 7] = [
    "initiate", "status", "load", "memory", "idle", "list", "sqlite",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (options, modes): (Vec<_>, Vec<_>) =
        arguments.into_iter().partition(|arg| arg.starts_with("--"));
    if !options.iter().any(|option| option == "--bench") {
        // `cargo test --all-targets` runs benches too.
        println!("measures only under `cargo bench`");
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = modes.iter().find(|mode| !MODES.contains(&mode.as_str())) {
        eprintln!(
            "unknown mode `{unknown}`; the modes are {}",
            MODES.join(", ")
        );
        return ExitCode::from(2);
    }
    let outcome = match &*modes {
        [mode] => run(mode),
        [] => each_by_itself(MODES),
        modes => each_by_itself(modes.iter().map(String::as_str)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs modes one after the other, each in a fresh process.
fn each_by_itself<'a>(modes: impl IntoIterator<Item = &'a str>) -> Result<(), BoxError> {
    let mut failed = Vec::new();
    for mode in modes {
        let status = Command::new(env::current_exe()?)
            .args(["--bench", mode])
            .status()?;
        if !status.success() {
            failed.push(mode);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")).into())
    }
}

fn run(mode: &str) -> Result<(), BoxError> {
    println!("== {mode}");
    let runtime = tokio::runtime::Runtime::new()?;
    match mode {
        "initiate" => runtime.block_on(initiate::run()),
        "status" => runtime.block_on(status::run()),
        "load" => runtime.block_on(load::run()),
        "memory" => runtime.block_on(memory::run()),
        "idle" => idle::run(&runtime),
        "sqlite" => runtime.block_on(sqlite::run()),
        _ => runtime.block_on(list()),
    }
}

/// Prints one result.
fn row(what: &str, measured: &str, budget: &str) {
    println!("{what:<62} {measured:<34} budget {budget}");
}

/// How many bytes of `tools/list` a family is.
async fn list() -> Result<(), BoxError> {
    let tools = support::tools::echo_server().await?;
    let (mut all, mut output) = (0, 0);
    for tool in tools.tools() {
        all += serde_json::to_vec(tool)?.len();
        output += serde_json::to_vec(&tool.output_schema)?.len();
    }
    row(
        "a family in tools/list (three tools, two arguments)",
        &format!("{all} bytes, output schemas {output}"),
        "<= 3072 bytes",
    );
    Ok(())
}
