//! The server that is soaked: every kind of task that ends in its own way.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use async_tool::{
    AsyncTool, AsyncTools, BoxError as ToolFailure, Call, Descriptor, OnInterrupt, Registry, Retry,
    SqliteStore, ToolError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::process;
use crate::support::BoxError;
use crate::support::http::HttpServer;

/// The argument that makes a process such a server.
pub(crate) const SERVE: &str = "serve-soak";
const RETENTION: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// End at once.
    Quick,
    /// Work for some seconds, and report it.
    Slow,
    /// Return an error.
    Fail,
    /// Panic.
    Panic,
    /// Fail, and succeed at the second attempt.
    Flaky,
    /// Return so much that it is stored ahead of the end.
    Large,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Job {
    kind: Kind,
    /// Tells calls apart.
    number: u64,
}

struct JobTool;

impl AsyncTool for JobTool {
    type Input = Job;
    type Output = String;

    fn descriptor(&self) -> &'static Descriptor {
        static JOB: Descriptor = Descriptor::new("job")
            .description("Do one of several things.")
            .on_interrupt(OnInterrupt::Retry)
            .retry(Retry::new(3).backoff(Duration::from_millis(500)));
        &JOB
    }

    async fn run(&self, job: Job, call: Call<'_>) -> Result<String, ToolFailure> {
        let task = call.context();
        match job.kind {
            Kind::Quick => Ok("done".to_owned()),
            Kind::Slow => {
                const STEPS: [&str; 3] = ["prepare", "work", "clean up"];
                let steps = task.progress().steps(STEPS);
                for step in STEPS {
                    steps.start(step);
                    for tick in 0..10_u32 {
                        tokio::time::sleep(Duration::from_millis(60)).await;
                        task.check_cancelled()?;
                        task.progress().fraction(f64::from(tick) / 10.0);
                        task.progress().message(format!("{step}, tick {tick}"));
                    }
                    task.log(format!("{step} of job {} is done", job.number));
                }
                task.step("record", async || Ok::<_, ToolFailure>(job.number))
                    .await?;
                Ok("done slowly".to_owned())
            }
            Kind::Fail => Err(ToolError::new("as asked for").with_code("asked").into()),
            Kind::Panic => panic!("as asked for"),
            Kind::Flaky if task.attempt() == 1 => {
                Err(ToolError::new("not yet").with_retryable(true).into())
            }
            Kind::Flaky => Ok("done at last".to_owned()),
            Kind::Large => Ok("x".repeat(400 * 1024)),
        }
    }
}

/// What such a process does: serves until its input ends.
pub(crate) async fn serve(file: &str) -> Result<(), BoxError> {
    // Panics are asked for, a thousand of them.
    std::panic::set_hook(Box::new(|_| {}));
    let tools = AsyncTools::builder()
        .registry(Registry::new().with(JobTool))
        .store(SqliteStore::open(file).await?)
        .retention(RETENTION)
        .single_user()
        .build()
        .await?;
    let server = HttpServer::of(tools.clone()).await?;
    println!("{}", server.uri);
    let mut input = Vec::new();
    tokio::io::stdin().read_to_end(&mut input).await?;
    tools.shutdown().await;
    Ok(())
}

/// A server in a process of its own.
pub(super) struct Server {
    pub(super) uri: String,
    pub(super) pid: u32,
    child: Child,
    input: ChildStdin,
}

impl Server {
    pub(super) async fn start(file: &Path) -> Result<Self, BoxError> {
        let mut child = Command::new(process::this()?)
            .args([OsStr::new("--bench"), SERVE.as_ref(), file.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().ok_or("the server has ended")?;
        let input = child.stdin.take().ok_or("the server has no input")?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut uri = String::new();
        BufReader::new(output).read_line(&mut uri).await?;
        Ok(Self {
            uri: uri.trim().to_owned(),
            pid,
            child,
            input,
        })
    }

    /// Ends it as a host would, and expects a good end.
    pub(super) async fn stop(mut self) -> Result<(), BoxError> {
        drop(self.input);
        let status = self.child.wait().await?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the server ended badly: {status}").into())
        }
    }
}
