//! Runs cargo: what it is told, what it says, how it ends.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::pin::pin;
use std::time::Duration;

use async_tool::{Cancelled, TaskContext, ToolError};
use cargo_metadata::Message;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::process::{Lines, ProcessGroup};
use super::status::Status;
use super::workspace::Project;

/// Longest line of cargo's messages that is read; one holds a whole diagnostic.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Longest line of cargo's error output that is read.
const MAX_STATUS: usize = 1024;
/// How many lines of error output are kept to explain a failure.
const MAX_TAIL: usize = 20;
/// How long output is read after cargo has ended. It takes longer than a moment
/// only where something that a test started lives on and holds the pipe.
const LINGER: Duration = Duration::from_secs(1);

/// One run of cargo in a project.
#[derive(Debug)]
pub(crate) struct Cargo {
    command: Command,
}

/// A piece of what cargo says.
#[derive(Debug)]
pub(crate) enum Output<'a> {
    /// From its standard output.
    Message(Box<Message>),
    /// From its error output.
    Status(Status<'a>),
}

/// How cargo ended.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) success: bool,
    /// The last lines of its error output that were neither progress nor verb.
    pub(crate) tail: String,
}

/// Why cargo gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CargoError {
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    #[error("cargo could not be run: {0}")]
    Io(#[from] io::Error),
}

impl Cargo {
    /// `cargo SUBCOMMAND` in the project's directory.
    pub(crate) fn new(subcommand: &str, project: &Project) -> Self {
        let mut command = Command::new("cargo");
        command
            .current_dir(project.directory())
            .args([subcommand, "--message-format=json"])
            // Stable cargo offers no machine-readable progress, but it draws
            // its bar into a pipe when told to, and the bar has the numbers.
            .env("CARGO_TERM_PROGRESS_WHEN", "always")
            .env("CARGO_TERM_PROGRESS_WIDTH", "200")
            .env("CARGO_TERM_PROGRESS_TERM_INTEGRATION", "false")
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TERM_QUIET", "false")
            .env("CARGO_TERM_VERBOSE", "false");
        for (name, _) in std::env::vars_os() {
            if is_of_an_outer_cargo(&name) {
                command.env_remove(name);
            }
        }
        Self { command }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Runs cargo to its end and shows all that it says to `observe`. When the
    /// task is asked to stop, cargo and all that it started are killed; they
    /// are also when this future is dropped.
    pub(crate) async fn run(
        self,
        task: &TaskContext,
        mut observe: impl FnMut(Output<'_>),
    ) -> Result<Exit, CargoError> {
        let (mut cargo, stdout, stderr) = ProcessGroup::spawn(self.command)?;
        let mut messages = Lines::new(stdout, b"\n", MAX_MESSAGE);
        let mut statuses = Lines::new(stderr, b"\r\n", MAX_STATUS);
        let mut tail = Tail::default();
        let (mut reading_messages, mut reading_statuses) = (true, true);
        let mut ended = None;
        let mut linger = pin!(sleep(LINGER));

        while ended.is_none() || reading_messages || reading_statuses {
            // In this order: no amount of output keeps an end from being seen,
            // and messages are heard before the statuses that follow them.
            tokio::select! {
                biased;
                () = task.cancelled() => {
                    cargo.kill().await;
                    task.check_cancelled()?;
                }
                status = cargo.wait(), if ended.is_none() => {
                    ended = Some(status?);
                    linger.as_mut().reset(Instant::now() + LINGER);
                }
                () = &mut linger, if ended.is_some() => {
                    cargo.kill_leftovers();
                    break;
                }
                line = messages.next(), if reading_messages => match line? {
                    Some(line) => observe(Output::Message(Box::new(message(line)))),
                    None => reading_messages = false,
                },
                line = statuses.next(), if reading_statuses => match line? {
                    Some(line) => {
                        let status = Status::parse(&line);
                        tail.keep(&status);
                        observe(Output::Status(status));
                    }
                    None => reading_statuses = false,
                },
            }
        }
        Ok(Exit {
            success: ended.is_some_and(|status| status.success()),
            tail: tail.text(),
        })
    }
}

/// Whether an environment variable describes a package that another cargo is
/// running, or the toolchain that rustup chose for it. (The server may itself
/// have been started by `cargo run`.) What people set to configure cargo, such
/// as `CARGO_TARGET_DIR` or `RUSTFLAGS`, is respected.
fn is_of_an_outer_cargo(name: &OsStr) -> bool {
    const NAMES: [&str; 5] = [
        "CARGO",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "OUT_DIR",
        "RUSTUP_TOOLCHAIN",
    ];
    const PREFIXES: [&str; 3] = ["CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_PKG_"];
    name.to_str().is_some_and(|name| {
        NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// Tests print into the same output as cargo: what is no message is text.
fn message(line: String) -> Message {
    serde_json::from_str(&line).unwrap_or(Message::TextLine(line))
}

/// The end of the error output.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<String>,
}

impl Tail {
    fn keep(&mut self, status: &Status<'_>) {
        let Status::Text(line) = status else { return };
        if self.lines.len() == MAX_TAIL {
            self.lines.pop_front();
        }
        self.lines.push_back((*line).to_owned());
    }

    fn text(self) -> String {
        let text = Vec::from(self.lines).join("\n");
        text.trim().to_owned()
    }
}

impl From<CargoError> for ToolError {
    fn from(error: CargoError) -> Self {
        Self::new(error.to_string())
    }
}
