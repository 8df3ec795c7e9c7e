//! The server that is soaked: every kind of task that ends in its own way.

use std::path::Path;
use std::time::Duration;

use async_tool::{
    AsyncTool, AsyncTools, BoxError as ToolFailure, Call, Descriptor, OnInterrupt, Registry, Retry,
    SqliteStore, ToolError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::process::HttpProcess;
use crate::support::BoxError;

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
    HttpProcess::serve(tools).await
}

/// Starts such a process.
pub(super) async fn start(file: &Path) -> Result<HttpProcess, BoxError> {
    HttpProcess::start([SERVE.as_ref(), file.as_os_str()]).await
}
