//! Follows a compilation: its progress, its diagnostics, its executables.

use std::path::PathBuf;

use async_tool::{Progress, Steps, ToolError};
use cargo_metadata::diagnostic::{Diagnostic as CompilerDiagnostic, DiagnosticLevel};
use cargo_metadata::{Artifact, Message};
use serde_json::json;

use super::cargo::{Exit, Output};
use super::report::{CompileFailure, Diagnostic, Diagnostics, Level};
use super::status::Status;

/// A compilation under way.
#[derive(Debug)]
pub(crate) struct Compilation<'a> {
    progress: &'a Progress,
    steps: &'a Steps,
    crates: u64,
    errors: Diagnostics,
    warnings: Diagnostics,
    executables: Vec<Executable>,
    /// What cargo's last message says. There is none if it never came to
    /// compiling.
    success: Option<bool>,
}

/// A compilation that succeeded.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) crates: u64,
    pub(crate) warnings: Diagnostics,
    pub(crate) executables: Vec<Executable>,
}

/// A program that was compiled, or was up to date.
#[derive(Debug)]
pub(crate) struct Executable {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) runs_tests: bool,
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompileError {
    /// A crate does not compile.
    #[error("the project does not compile: {}", summary(.0))]
    Failed(CompileFailure),
    /// Cargo did not even try; the text is what it said.
    #[error("cargo cannot build the project: {}", .0.trim_start_matches("error: "))]
    Refused(String),
}

impl<'a> Compilation<'a> {
    /// A compilation that begins now. It enters the steps `resolve` and
    /// `compile`.
    pub(crate) fn begin(progress: &'a Progress, steps: &'a Steps) -> Self {
        steps.start("resolve");
        Self {
            progress,
            steps,
            crates: 0,
            errors: Diagnostics::default(),
            warnings: Diagnostics::default(),
            executables: Vec::new(),
            success: None,
        }
    }

    /// Takes in what cargo says.
    pub(crate) fn observe(&mut self, output: Output<'_>) {
        match output {
            Output::Status(Status::Counter { done, total, names }) => {
                self.steps.start("compile");
                self.progress.total(total);
                self.progress.set(done);
                if !names.is_empty() {
                    self.progress.message(format!("compiling {names}"));
                }
            }
            // The bar has the names of what is compiled. Before it appears,
            // and while cargo waits for another one, the verb says it all.
            Output::Status(Status::Verb { verb, subject }) if verb != "Compiling" => {
                let verb = verb.to_lowercase();
                self.progress.message(format!("{verb} {subject}"));
            }
            Output::Status(_) => {}
            Output::Message(message) => match *message {
                Message::CompilerArtifact(artifact) => self.artifact(artifact),
                Message::CompilerMessage(message) => self.diagnostic(message.message),
                Message::BuildFinished(finished) => self.success = Some(finished.success),
                _ => {}
            },
        }
    }

    /// Whether all is compiled, so that tests may run.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.success == Some(true)
    }

    /// How many of the programs run tests.
    pub(crate) fn test_programs(&self) -> usize {
        let programs = self.executables.iter();
        programs.filter(|program| program.runs_tests).count()
    }

    /// What was compiled by a cargo that has ended so.
    pub(crate) fn finish(self, exit: &Exit) -> Result<Compiled, CompileError> {
        match self.success {
            Some(true) => Ok(Compiled {
                crates: self.crates,
                warnings: self.warnings,
                executables: self.executables,
            }),
            Some(false) => Err(CompileError::Failed(CompileFailure {
                output: if self.errors.kept.is_empty() {
                    exit.tail.clone()
                } else {
                    String::new()
                },
                errors: self.errors.kept,
                errors_omitted: self.errors.omitted,
            })),
            None => Err(CompileError::Refused(exit.tail.clone())),
        }
    }

    fn artifact(&mut self, artifact: Artifact) {
        let compiled = !artifact.fresh && !artifact.target.is_custom_build();
        self.crates += u64::from(compiled);
        if let Some(path) = artifact.executable {
            self.executables.push(Executable {
                name: artifact.target.name,
                path: path.into_std_path_buf(),
                runs_tests: artifact.profile.test,
            });
        }
    }

    fn diagnostic(&mut self, diagnostic: CompilerDiagnostic) {
        let (level, diagnostics) = match diagnostic.level {
            DiagnosticLevel::Error | DiagnosticLevel::Ice => (Level::Error, &mut self.errors),
            DiagnosticLevel::Warning => (Level::Warning, &mut self.warnings),
            _ => return,
        };
        let place = diagnostic.spans.iter().find(|span| span.is_primary);
        if place.is_none() && is_count(&diagnostic.message) {
            return;
        }
        diagnostics.add(Diagnostic {
            level,
            file: place.map(|span| span.file_name.clone()),
            line: place.map(|span| span.line_start),
            message: diagnostic.message,
            rendered: diagnostic.rendered.unwrap_or_default(),
        });
    }
}

/// Whether this is how rustc ends: with how many errors or warnings it gave.
fn is_count(message: &str) -> bool {
    message.starts_with("aborting due to")
        || message.ends_with("warning emitted")
        || message.ends_with("warnings emitted")
}

/// The first error, and how many there are.
fn summary(failure: &CompileFailure) -> String {
    let Some(first) = failure.errors.first() else {
        let first = failure.output.lines().next().unwrap_or_default();
        return first.trim_start_matches("error: ").to_owned();
    };
    let mut summary = first.message.clone();
    if let (Some(file), Some(line)) = (&first.file, first.line) {
        summary = format!("{file}:{line}: {summary}");
    }
    match failure.errors.len() + failure.errors_omitted - 1 {
        0 => summary,
        1 => format!("{summary} (and 1 more error)"),
        more => format!("{summary} (and {more} more errors)"),
    }
}

impl From<CompileError> for ToolError {
    fn from(error: CompileError) -> Self {
        let message = error.to_string();
        match error {
            CompileError::Failed(failure) => Self::new(message)
                .with_code("compile_failed")
                .with_details(json!(failure)),
            CompileError::Refused(_) => Self::new(message).with_code("cargo_failed"),
        }
    }
}
