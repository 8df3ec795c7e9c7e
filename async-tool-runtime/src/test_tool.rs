//! A tool for unit tests.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AsyncTool, BoxError, Call, Descriptor};

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Sleep {
    seconds: u64,
    /// Ignore requests to stop.
    #[serde(default)]
    stubborn: bool,
}

pub(crate) struct SleepTool;

impl AsyncTool for SleepTool {
    type Input = Sleep;
    type Output = u64;

    fn descriptor(&self) -> &'static Descriptor {
        static SLEEP: Descriptor = Descriptor::new("sleep").description("Sleep for a while.");
        &SLEEP
    }

    async fn run(&self, input: Sleep, call: Call<'_>) -> Result<u64, BoxError> {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(input.seconds)) => Ok(input.seconds),
            () = call.context().cancelled(), if !input.stubborn => Err("stopped".into()),
        }
    }
}
