//! The same job as a tool of this crate.

use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{AsyncTool, AsyncTools, BoxError, Call, Descriptor, Registry, Surface};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PER_STEP, SECONDS, STEPS};

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nothing {}

#[derive(Serialize, JsonSchema)]
struct Report {
    artifacts: u32,
    bytes: u64,
}

async fn job(call: Call<'_>) -> Result<Report, BoxError> {
    let progress = call.context().progress();
    let steps = progress.steps(STEPS);
    for second in 0..SECONDS {
        let unit = second % PER_STEP;
        if unit == 0 {
            steps.next();
            progress.total(PER_STEP);
        }
        progress.message(super::message(unit));
        progress.set(unit);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(Report {
        artifacts: 3,
        bytes: 1_048_576,
    })
}

macro_rules! tool {
    ($tool:ident, $descriptor:expr) => {
        struct $tool;

        impl AsyncTool for $tool {
            type Input = Nothing;
            type Output = Report;

            fn descriptor(&self) -> &'static Descriptor {
                static JOB: Descriptor = $descriptor.description("Do a minute's work.");
                &JOB
            }

            async fn run(&self, _: Nothing, call: Call<'_>) -> Result<Report, BoxError> {
                job(call).await
            }
        }
    };
}

tool!(JobTool, Descriptor::new("job"));
tool!(
    InlineJobTool,
    Descriptor::new("inline_job").inline(Duration::from_secs(15))
);

/// A server with everything as it is by default, on tokio's clock.
pub(super) async fn server() -> AsyncTools {
    let builder = AsyncTools::builder()
        .registry(Registry::new().with(JobTool).with(InlineJobTool))
        .surface([Surface::Family, Surface::Native]);
    TestServer::start(builder).await.tools().clone()
}
