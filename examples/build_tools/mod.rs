//! The tools of the build server, `build` and `test`, which run cargo in the
//! projects of a [`Workspace`].
//!
//! Read this file first: the tools are ordinary async functions. Then, as far
//! as you are curious, how cargo is run ([`cargo`]) in a process group of its
//! own ([`process`]), where its progress comes from ([`status`],
//! [`compilation`]), and which paths are refused ([`workspace`]).

mod cargo;
mod compilation;
mod package;
#[path = "../shared/process.rs"]
mod process;
pub(crate) mod report;
#[path = "../shared/root.rs"]
mod root;
mod status;
mod test_run;
pub(crate) mod workspace;

#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;
use std::time::Instant;

use async_tool::{TaskContext, ToolError, async_tool};

use cargo::Cargo;
use compilation::Compilation;
use package::package;
use report::{BuildReport, Profile, TestReport};
use test_run::TestRun;
use workspace::Workspace;

/// Compile a Cargo project, and list its binaries with size and SHA-256.
///
/// Fails with the code `compile_failed` and the compiler's errors in `details`
/// when the project does not compile.
#[async_tool(
    timeout = "30m",
    concurrency = 2,
    // Cargo goes on where it was killed.
    on_interrupt = "retry",
    dedupe = "arguments",
    annotations(destructive = false)
)]
pub(crate) async fn build(
    /// Directory that holds the project's Cargo.toml.
    project: PathBuf,
    /// Compile with optimisations.
    #[serde(default)]
    release: bool,
    /// Features of the project to enable.
    #[serde(default)]
    #[schemars(length(max = 100))]
    features: Vec<String>,
    task: &TaskContext,
    workspace: &Workspace,
) -> Result<BuildReport, ToolError> {
    let started = Instant::now();
    let project = workspace.project(&project)?;
    // How long each takes, roughly: the ETA depends on it.
    let steps =
        task.progress()
            .weighted_steps([("resolve", 1.0), ("compile", 50.0), ("package", 1.0)]);

    let mut cargo = Cargo::new("build", &project);
    if release {
        cargo = cargo.arg("--release");
    }
    if !features.is_empty() {
        cargo = cargo.arg(format!("--features={}", features.join(",")));
    }
    let mut compilation = Compilation::begin(task.progress(), &steps);
    let exit = cargo
        .run(task, |output| compilation.observe(output))
        .await?;
    let compiled = compilation.finish(&exit)?;

    steps.start("package");
    let binaries = package(compiled.executables, task).await?;

    Ok(BuildReport {
        profile: if release {
            Profile::Release
        } else {
            Profile::Dev
        },
        seconds: started.elapsed().as_secs_f64(),
        crates_compiled: compiled.crates,
        binaries,
        warnings: compiled.warnings.kept,
        warnings_omitted: compiled.warnings.omitted,
    })
}

/// Run the tests of a Cargo project and report which failed, with their output.
///
/// Tests that fail are a result, not an error. A project that does not compile
/// is: the code is `compile_failed`, with the compiler's errors in `details`.
#[async_tool(timeout = "30m", concurrency = 1, on_interrupt = "retry")]
pub(crate) async fn test(
    /// Directory that holds the project's Cargo.toml.
    project: PathBuf,
    /// Run only tests whose path contains this, such as `parser::`.
    #[schemars(regex(pattern = "^[^-]"))]
    filter: Option<String>,
    task: &TaskContext,
    workspace: &Workspace,
) -> Result<TestReport, ToolError> {
    let started = Instant::now();
    let project = workspace.project(&project)?;
    let steps = task.progress().steps(["resolve", "compile", "test"]);

    let mut cargo = Cargo::new("test", &project).arg("--no-fail-fast");
    if let Some(filter) = filter {
        cargo = cargo.arg("--").arg(filter);
    }
    let mut compilation = Compilation::begin(task.progress(), &steps);
    let mut tests = TestRun::new(task.progress(), &steps);
    let exit = cargo
        .run(task, |output| {
            if compilation.has_succeeded() {
                tests.observe(&output, compilation.test_programs());
            } else {
                compilation.observe(output);
            }
        })
        .await?;
    compilation.finish(&exit)?;

    let mut report = tests.finish(exit);
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}
