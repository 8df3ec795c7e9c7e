//! Measures what the performance budget is about, on whole servers with real
//! clients: `cargo bench --bench budget -- [MODE...]`; see `BENCHMARKS.md`.
//!
//! Each mode runs in a process of its own, and so do the parts of some. The exit status is 1 if anything
//! went wrong; being above budget is reported and no error, for the machine
//! may be busy.
#![allow(clippy::print_stdout, reason = "the report is the purpose")]
#![allow(clippy::print_stderr, reason = "errors of a program")]

mod compare;
mod context;
mod disk;
mod fill;
mod idle;
mod initiate;
mod initiate_sqlite;
mod lifecycles;
mod load;
mod memory;
mod process;
mod restart;
mod soak;
mod status;
#[cfg(all(unix, feature = "postgres", feature = "redis"))]
mod stores;
#[allow(dead_code, reason = "shared with the other bench")]
#[path = "../support/mod.rs"]
mod support;
mod telemetry;

use async_tool::Surface;
use std::env;
use std::process::ExitCode;

use support::BoxError;

const MODES: &[&str] = &[
    "initiate",
    "status",
    "load",
    "memory",
    "idle",
    "list",
    "context",
    "lifecycles",
    "restart",
    "telemetry",
    #[cfg(all(unix, feature = "postgres", feature = "redis"))]
    "stores",
    #[cfg(all(unix, feature = "postgres", feature = "redis"))]
    "wait",
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
    let modes: Vec<&str> = modes.iter().map(String::as_str).collect();
    let outcome = match &*modes {
        [telemetry::SERVE, listeners] => in_runtime(telemetry::serve(listeners)),
        [soak::SERVE, file] => in_runtime(soak::serve(file)),
        ["soak"] => minutes(&options).and_then(|minutes| in_runtime(soak::run(minutes))),
        [process::SERVE, file, slots] => in_runtime(process::serve(file, slots)),
        [mode] => run(mode),
        [] => each_by_itself(MODES),
        modes => each_by_itself(modes),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// For how long to soak: `--minutes=N`.
fn minutes(options: &[String]) -> Result<u64, BoxError> {
    const UNLESS_SAID_OTHERWISE: u64 = 5;
    const MOST: u64 = 24 * 60;
    let given = options
        .iter()
        .find_map(|option| option.strip_prefix("--minutes="));
    let minutes = match given {
        Some(given) => given
            .parse()
            .map_err(|_| format!("`--minutes={given}` is no whole number"))?,
        None => UNLESS_SAID_OTHERWISE,
    };
    if (1..=MOST).contains(&minutes) {
        Ok(minutes)
    } else {
        Err(format!("--minutes is between 1 and {MOST}").into())
    }
}

/// Runs modes one after the other, each in a fresh process.
fn each_by_itself(modes: &[&str]) -> Result<(), BoxError> {
    let mut failed = Vec::new();
    for mode in modes {
        if let Err(error) = process::part(mode) {
            eprintln!("error: {mode}: {error}");
            failed.push(*mode);
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
    match mode {
        "initiate" => in_runtime(initiate::run()),
        initiate_sqlite::PART => in_runtime(initiate_sqlite::run()),
        initiate_sqlite::SLOW => in_runtime(initiate_sqlite::run_slow()),
        "status" => in_runtime(status::run()),
        status::PART => in_runtime(status::run_sqlite()),
        "load" => in_runtime(load::run()),
        "memory" => in_runtime(memory::run()),
        memory::PART => in_runtime(memory::run_sqlite()),
        "idle" => in_runtime(idle::run()),
        idle::PART => in_runtime(idle::run_sqlite()),
        "list" => in_runtime(list()),
        "context" => context::run(),
        "lifecycles" => in_runtime(lifecycles::run()),
        lifecycles::SLOW => in_runtime(lifecycles::run_slow()),
        "restart" => in_runtime(restart::run()),
        "telemetry" => in_runtime(telemetry::run()),
        #[cfg(all(unix, feature = "postgres", feature = "redis"))]
        "stores" => in_runtime(stores::run()),
        #[cfg(all(unix, feature = "postgres", feature = "redis"))]
        "wait" => in_runtime(stores::wait()),
        _ => Err(format!("unknown mode `{mode}`; the modes are {}", MODES.join(", ")).into()),
    }
}

fn in_runtime(run: impl Future<Output = Result<(), BoxError>>) -> Result<(), BoxError> {
    tokio::runtime::Runtime::new()?.block_on(run)
}

/// Prints one result.
fn row(what: &str, measured: &str, budget: &str) {
    println!("{what:<74} {measured:<38} budget {budget}");
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
    for (surface, name) in [
        (Surface::Family, "family"),
        (Surface::Shared, "shared"),
        (Surface::Native, "native"),
    ] {
        for count in [1, 10, 50] {
            let tools = support::tools::many(count, surface).await?;
            let bytes = serde_json::to_vec(tools.tools())?.len();
            row(
                &format!("tools/list, {name}, {count} tools of two arguments"),
                &format!("{} entries, {bytes} bytes", tools.tools().len()),
                "-",
            );
        }
    }
    Ok(())
}
