//! Tries a new release, before it becomes live.

use std::collections::VecDeque;
use std::path::Path;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use async_tool::TaskContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::error::DeployError;
use crate::process::{Lines, ProcessGroup};

/// Longest line of output that is read.
const MAX_LINE: usize = 1024;
/// How many lines of output are kept to explain a failure.
const MAX_TAIL: usize = 20;
/// How long output is read after the command has ended. It takes longer than a
/// moment only where something that it started lives on and holds the pipe.
const LINGER: Duration = Duration::from_secs(1);

/// A command that tells whether a release is fit to become live.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct HealthCheck {
    /// The program and its arguments; no shell takes part. It runs in the new
    /// release's directory and has to end by itself, with 0 if all is well.
    #[schemars(length(min = 1, max = 100))]
    pub(crate) command: Vec<String>,
    /// How long it may take.
    #[serde(default = "half_a_minute")]
    #[schemars(range(min = 1, max = 600))]
    pub(crate) timeout_seconds: u64,
}

fn half_a_minute() -> u64 {
    30
}

impl HealthCheck {
    /// Runs the command in `release`. When it takes too long, or the task is
    /// asked to stop, the command and all that it started are killed; they are
    /// also when this future is dropped.
    pub(crate) async fn run(&self, release: &Path, task: &TaskContext) -> Result<(), DeployError> {
        let (program, arguments) = match &self.command[..] {
            [program, arguments @ ..] => (program, arguments),
            [] => return Err(DeployError::CheckNotStarted(no_program())),
        };
        // Which directory `./program` is in is for the system to say, unless
        // it is said here.
        let path = match program.contains('/') {
            true => release.join(program),
            false => program.into(),
        };
        let mut command = Command::new(path);
        command.args(arguments).current_dir(release);
        task.progress().message(format!("running {program}"));
        let (mut check, stdout, stderr) =
            ProcessGroup::spawn(command).map_err(DeployError::CheckNotStarted)?;

        let limit = Duration::from_secs(self.timeout_seconds);
        let mut outputs = (
            Lines::new(stdout, b"\n", MAX_LINE),
            Lines::new(stderr, b"\n", MAX_LINE),
        );
        let mut reading = (true, true);
        let mut tail = Tail::default();
        let mut ended: Option<ExitStatus> = None;
        let mut timeout = pin!(sleep(limit));
        let mut linger = pin!(sleep(limit));
        while ended.is_none() || reading != (false, false) {
            tokio::select! {
                biased;
                () = task.cancelled() => {
                    check.kill().await;
                    task.check_cancelled()?;
                }
                status = check.wait(), if ended.is_none() => {
                    ended = Some(status.map_err(DeployError::CheckNotStarted)?);
                    linger.as_mut().reset(Instant::now() + LINGER);
                }
                () = &mut timeout, if ended.is_none() => {
                    check.kill().await;
                    return Err(DeployError::CheckTimeout {
                        seconds: limit.as_secs_f64(),
                        output: tail.text(),
                    });
                }
                () = &mut linger, if ended.is_some() => {
                    check.kill_leftovers();
                    break;
                }
                line = outputs.0.next(), if reading.0 => match line.ok().flatten() {
                    Some(line) => tail.keep(line, task),
                    None => reading.0 = false,
                },
                line = outputs.1.next(), if reading.1 => match line.ok().flatten() {
                    Some(line) => tail.keep(line, task),
                    None => reading.1 = false,
                },
            }
        }
        match ended {
            Some(status) if status.success() => Ok(()),
            status => Err(DeployError::Unhealthy {
                status: status.map_or_else(String::new, |status| status.to_string()),
                output: tail.text(),
            }),
        }
    }
}

fn no_program() -> std::io::Error {
    std::io::Error::other("`command` is empty; its first item has to be a program")
}

/// The end of the output.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<String>,
}

impl Tail {
    fn keep(&mut self, line: String, task: &TaskContext) {
        task.log(&*line);
        if self.lines.len() == MAX_TAIL {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn text(self) -> String {
        Vec::from(self.lines).join("\n")
    }
}
