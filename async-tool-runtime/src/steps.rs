//! Checkpoints: steps of a task that are not repeated when it is started
//! again.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tracing::Instrument;

use crate::context::TaskContext;
use crate::error::{BoxError, DEFAULT_CODE, Facts, ToolError, facts_of};
use crate::store::{Refused, StepEnd, StepRecord, StoreError};
use crate::telemetry::spans;

/// Most steps that a task records.
const MAX_STEPS: usize = 200;
/// Longest name of a step, in bytes.
const MAX_NAME: usize = 100;
/// Largest result of a step, in bytes of JSON.
const MAX_RESULT: usize = 256 * 1024;

/// See [`TaskContext::step`].
pub(crate) async fn run<T, F, Fut>(task: &TaskContext, name: &str, body: F) -> Result<T, StepError>
where
    T: Serialize + DeserializeOwned,
    F: FnOnce() -> Fut,
    Fut: Future<Output = Result<T, BoxError>>,
{
    let steps = task.steps();
    let begun = steps.begin(name)?;
    task.progress().begin_step(name);
    if let Some(result) = steps.recorded(name, task).await? {
        begun.keep(StepEnd::Replayed);
        return serde_json::from_str(&result).map_err(|error| {
            let message = format!(
                "the recorded result of the step `{name}` does not fit this version of the tool: \
                 {error}"
            );
            StepError(Kind::Refused(
                Facts::new("incompatible_step", message).uncounted(),
            ))
        });
    }
    steps.owned(task).await?;
    if task.is_cancelled() {
        return Err(StepError(Kind::Cancelled));
    }
    let span = spans::step(name);
    let step = async {
        let result = body().await.map_err(|error| StepError(Kind::Body(error)))?;
        let json = encode::<T>(name, &result)?;
        steps.record(StepRecord::new(name, json)).await?;
        Ok(result)
    };
    let done = step.instrument(span.clone()).await;
    if done.is_err() {
        spans::step_failed(&span);
    }
    let result = done?;
    begun.keep(StepEnd::Done);
    Ok(result)
}

/// The result as JSON that reads back as a `T`: better to fail now than when
/// the task is started again.
fn encode<T: Serialize + DeserializeOwned>(name: &str, result: &T) -> Result<String, StepError> {
    let json = serde_json::to_string(result).map_err(|error| {
        StepError::refused(
            "invalid_result",
            format!("the result of the step `{name}` cannot be written as JSON: {error}"),
        )
    })?;
    if json.len() > MAX_RESULT {
        return Err(StepError::refused(
            "result_too_large",
            format!(
                "the result of the step `{name}` is larger than {MAX_RESULT} bytes of JSON; \
                 return a reference to it"
            ),
        ));
    }
    serde_json::from_str::<T>(&json).map_err(|error| {
        StepError::refused(
            "invalid_result",
            format!("the result of the step `{name}` does not read back from JSON: {error}"),
        )
    })?;
    Ok(json)
}

/// Where steps are recorded.
pub(crate) trait Journal: Send + Sync {
    /// What earlier attempts recorded.
    fn load(&self) -> BoxFuture<'_, Result<Vec<StepRecord>, StoreError>>;
    fn record(&self, step: StepRecord) -> BoxFuture<'_, Result<Result<(), Refused>, StoreError>>;
    /// A step begins.
    fn begun(&self, name: &str);
    /// It ends.
    fn ended(&self, name: &str, how: StepEnd);
    fn standing(&self) -> Standing;
}

/// Whether the task is still ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody can have taken it over yet.
    Ours,
    /// The lease may have run out; the next heartbeat will tell.
    Unknown,
    /// The attempt is over.
    Over,
}

/// The steps of one attempt.
pub(crate) struct StepBook {
    journal: Box<dyn Journal>,
    recorded: OnceCell<HashMap<Arc<str>, Arc<str>>>,
    begun: Mutex<HashSet<String>>,
}

impl StepBook {
    /// The steps of an attempt; the first one has no earlier ones to read of.
    pub(crate) fn new(attempt: u32, journal: impl Journal + 'static) -> Self {
        Self {
            journal: Box::new(journal),
            recorded: OnceCell::new_with((attempt <= 1).then(HashMap::new)),
            begun: Mutex::default(),
        }
    }

    fn begin<'a>(&'a self, name: &'a str) -> Result<Begun<'a>, StepError> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(StepError::misused(format!(
                "the name of a step must have 1 to {MAX_NAME} bytes, not {}",
                name.len()
            )));
        }
        if name.starts_with(StepRecord::ANSWER) {
            return Err(StepError::misused(format!(
                "the name of a step must not begin with `{}`, as those of answers do",
                StepRecord::ANSWER
            )));
        }
        let mut begun = self.begun();
        if begun.len() >= MAX_STEPS {
            return Err(StepError::misused(format!(
                "a task has at most {MAX_STEPS} steps"
            )));
        }
        if !begun.insert(name.to_owned()) {
            return Err(StepError::misused(format!(
                "this task has two steps named `{name}`; each needs a name of its own"
            )));
        }
        drop(begun);
        self.journal.begun(name);
        Ok(Begun { steps: self, name })
    }

    fn begun(&self) -> MutexGuard<'_, HashSet<String>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn recorded(
        &self,
        name: &str,
        task: &TaskContext,
    ) -> Result<Option<Arc<str>>, StepError> {
        let load = || async {
            let mut pauses = Pauses::default();
            loop {
                match self.journal.load().await {
                    Ok(steps) => {
                        let results = steps.into_iter().map(|step| (step.name, step.result));
                        return Ok(results.collect());
                    }
                    Err(error) => {
                        tracing::warn!(%error, "could not read the recorded steps of a task");
                    }
                }
                if task.is_cancelled() {
                    return Err(StepError(Kind::Cancelled));
                }
                pauses.pause().await;
            }
        };
        let recorded: &HashMap<_, _> = self.recorded.get_or_try_init(load).await?;
        Ok(recorded.get(name).cloned())
    }

    /// Waits until it is certain that the task is still ours, or that it has to
    /// stop. A process that was frozen for a while goes on in the middle of its
    /// code, and learns only with its next heartbeat what has happened: no step
    /// begins before that.
    async fn owned(&self, task: &TaskContext) -> Result<(), StepError> {
        const PAUSE: Duration = Duration::from_millis(10);
        while !task.is_cancelled() {
            match self.journal.standing() {
                Standing::Ours => break,
                Standing::Unknown => {
                    let _ = tokio::time::timeout(PAUSE, task.cancelled()).await;
                }
                Standing::Over => return Err(StepError(Kind::Fenced)),
            }
        }
        Ok(())
    }

    /// Tries until the step is recorded: its body has run. If the lease is
    /// lost meanwhile, the attempt is dropped, and this with it.
    async fn record(&self, step: StepRecord) -> Result<(), StepError> {
        let mut pauses = Pauses::default();
        loop {
            match self.journal.record(step.clone()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => return Err(StepError(Kind::Fenced)),
                Err(error) => tracing::warn!(%error, "could not record a step"),
            }
            pauses.pause().await;
        }
    }
}

/// A step under way. Its name is free again unless the step is recorded: what
/// failed or was dropped may be tried once more.
struct Begun<'a> {
    steps: &'a StepBook,
    name: &'a str,
}

impl Begun<'_> {
    fn keep(self, how: StepEnd) {
        self.steps.journal.ended(self.name, how);
        std::mem::forget(self);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.steps.begun().remove(self.name);
        self.steps.journal.ended(self.name, StepEnd::Failed);
    }
}

impl fmt::Debug for StepBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepBook").finish_non_exhaustive()
    }
}

/// Growing pauses between tries.
pub(crate) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(Duration::from_millis(50))
    }
}

impl Pauses {
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(2));
    }
}

/// A journal of nothing: for contexts that belong to no server.
pub(crate) struct NoJournal;

impl Journal for NoJournal {
    fn load(&self) -> BoxFuture<'_, Result<Vec<StepRecord>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn record(&self, _: StepRecord) -> BoxFuture<'_, Result<Result<(), Refused>, StoreError>> {
        Box::pin(async { Ok(Ok(())) })
    }

    fn begun(&self, _: &str) {}

    fn ended(&self, _: &str, _: StepEnd) {}

    fn standing(&self) -> Standing {
        Standing::Ours
    }
}

/// Why a step gave no result. `?` turns it into a [`ToolError`], which keeps
/// code and details of one that the step's body returned, or into any error
/// type that takes others, such as `anyhow::Error`.
pub struct StepError(Kind);

enum Kind {
    Body(BoxError),
    Cancelled,
    Fenced,
    Refused(Facts),
}

impl StepError {
    fn refused(code: &'static str, message: String) -> Self {
        Self(Kind::Refused(Facts::new(code, message)))
    }

    /// A mistake in the tool's code.
    fn misused(message: String) -> Self {
        Self::refused(DEFAULT_CODE, message)
    }

    /// What the step's body returned, if it is that.
    pub fn body(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match &self.0 {
            Kind::Body(error) => Some(error.as_ref()),
            Kind::Cancelled | Kind::Fenced | Kind::Refused(_) => None,
        }
    }

    /// Whether the task was asked to stop before the step began.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Kind::Cancelled)
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Body(error) => error.fmt(f),
            Kind::Cancelled => crate::error::Cancelled.fmt(f),
            Kind::Fenced => f.write_str("the task belongs to another worker by now"),
            Kind::Refused(facts) => facts.fmt(f),
        }
    }
}

impl fmt::Debug for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Body(error) => f.debug_tuple("StepError").field(error).finish(),
            _ => write!(f, "StepError({self})"),
        }
    }
}

impl Error for StepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            // Its message is this error's message.
            Kind::Body(error) => error.source(),
            Kind::Refused(facts) => Some(facts),
            Kind::Cancelled | Kind::Fenced => None,
        }
    }
}

impl From<StepError> for ToolError {
    fn from(error: StepError) -> Self {
        let facts = match &error.0 {
            // Its code tells a caller more than `tool_error` would.
            Kind::Cancelled => Facts::new("cancelled", error.to_string()),
            _ => facts_of(&error),
        };
        Self::from_facts(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn step<T: Serialize + DeserializeOwned>(
        task: &TaskContext,
        name: &str,
        result: T,
    ) -> Result<T, StepError> {
        task.step(name, || async { Ok(result) }).await
    }

    fn code(error: StepError) -> String {
        ToolError::from(error).code().to_owned()
    }

    #[tokio::test]
    async fn a_step_gives_its_result_and_is_a_step_of_the_progress() {
        let task = TaskContext::detached("t");
        assert_eq!(step(&task, "unpack", 3).await.ok(), Some(3));
        let state = task.progress().state();
        assert_eq!(state.step.as_deref(), Some("unpack"));
    }

    #[tokio::test]
    async fn names_are_unique_and_bounded() {
        let task = TaskContext::detached("t");
        assert!(step(&task, "a", ()).await.is_ok());
        let twice = step(&task, "a", ()).await.expect_err("twice");
        assert!(twice.to_string().contains("two steps named `a`"), "{twice}");
        assert!(step(&task, "", ()).await.is_err());
        assert!(step(&task, "input:a", ()).await.is_err());
        assert!(step(&task, &"x".repeat(101), ()).await.is_err());
        for number in 1..MAX_STEPS {
            assert!(step(&task, &number.to_string(), ()).await.is_ok());
        }
        let surplus = step(&task, "one more", ()).await.expect_err("too many");
        assert!(surplus.to_string().contains("at most 200"), "{surplus}");
    }

    #[tokio::test]
    async fn a_step_that_failed_can_be_tried_again() {
        let task = TaskContext::detached("t");
        let failed = task.step("a", || async { Err::<(), BoxError>("no".into()) });
        assert!(failed.await.is_err());
        assert!(step(&task, "a", ()).await.is_ok());
        assert!(step(&task, "a", ()).await.is_err(), "recorded");
    }

    #[tokio::test]
    async fn a_result_must_be_small_and_read_back() {
        let task = TaskContext::detached("t");
        let large = step(&task, "large", "x".repeat(MAX_RESULT)).await;
        assert_eq!(large.err().map(code).as_deref(), Some("result_too_large"));
        let infinite = step(&task, "infinite", f64::INFINITY).await;
        assert_eq!(infinite.err().map(code).as_deref(), Some("invalid_result"));
    }

    #[tokio::test]
    async fn the_bodys_error_keeps_its_facts() {
        let task = TaskContext::detached("t");
        let failed = task
            .step("a", || async {
                Err::<(), BoxError>(ToolError::new("no room").with_code("disk_full").into())
            })
            .await
            .expect_err("failed");
        assert_eq!(failed.to_string(), "no room");
        assert!(failed.body().is_some());
        let error = ToolError::from(failed);
        assert_eq!(
            (error.code(), error.to_string()),
            ("disk_full", "no room".into())
        );

        let failed = task
            .step("b", || async {
                let error = ToolError::new("no room").with_code("disk_full");
                Err::<(), BoxError>(anyhow::Error::from(error).context("unpacking").into())
            })
            .await
            .expect_err("failed");
        let error = ToolError::from(failed);
        assert_eq!(
            (error.code(), error.to_string()),
            ("disk_full", "unpacking: no room".into())
        );
    }
}
