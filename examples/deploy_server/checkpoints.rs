//! Stands in for the runtime's own checkpoints, which record nothing yet.

use std::future::Future;

use async_tool::{BoxError, TaskContext, ToolError};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) struct StepError(BoxError);

pub(crate) trait Checkpoints {
    fn step<T, F, Fut>(
        &self,
        name: &str,
        body: F,
    ) -> impl Future<Output = Result<T, StepError>> + Send
    where
        T: Serialize + DeserializeOwned + Send,
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<T, BoxError>> + Send;
    fn epoch(&self) -> u64;
    fn log(&self, line: impl Into<String>);
}

impl Checkpoints for TaskContext {
    async fn step<T, F, Fut>(&self, name: &str, body: F) -> Result<T, StepError>
    where
        T: Serialize + DeserializeOwned + Send,
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<T, BoxError>> + Send,
    {
        let _ = name;
        self.check_cancelled()
            .map_err(|error| StepError(error.into()))?;
        body().await.map_err(StepError)
    }

    fn epoch(&self) -> u64 {
        self.attempt().into()
    }

    fn log(&self, line: impl Into<String>) {
        let _ = line.into();
    }
}

impl From<StepError> for ToolError {
    fn from(StepError(error): StepError) -> Self {
        match error.downcast::<ToolError>() {
            Ok(error) => *error,
            Err(error) => ToolError::new(error.to_string()).with_code("cancelled"),
        }
    }
}
