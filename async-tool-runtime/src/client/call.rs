//! A call that is about to be made.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rmcp::model::InputResponses;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::TaskClient;
use super::attempt::{Ask, Reply, Start};
use super::error::CallError;
use super::handle::TaskHandle;
use super::input::{Answer, OnInput, Question};
use super::route::ToolNames;

/// How often a server may ask before there is a task; MCP's SDKs have the same
/// limit.
const ROUNDS: usize = 10;

/// A call that has not been made yet. Nothing happens until it is
/// [started](Self::start), or awaited for its result.
#[must_use = "nothing happens until it is started or awaited"]
pub struct TaskCall<O> {
    client: TaskClient,
    names: Arc<ToolNames>,
    arguments: Result<Map<String, Value>, String>,
    key: String,
    max_wait: Option<Duration>,
    on_input: Option<OnInput>,
    output: PhantomData<fn() -> O>,
}

impl<O> TaskCall<O> {
    pub(super) fn new(
        client: TaskClient,
        names: ToolNames,
        arguments: serde_json::Result<Value>,
    ) -> Self {
        let arguments = match arguments {
            Ok(Value::Object(arguments)) => Ok(arguments),
            Ok(_) => Err("they are no object".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        Self {
            client,
            names: Arc::new(names),
            arguments,
            key: Uuid::new_v4().simple().to_string(),
            max_wait: None,
            on_input: None,
            output: PhantomData,
        }
    }

    /// Sets the idempotency key: 1 to 255 visible ASCII characters. A call with
    /// the same key and the same arguments is the same call, and has the same
    /// task, also after a restart of the caller.
    ///
    /// Without this a call has a random one, so that it can be repeated when
    /// its answer was lost.
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// The idempotency key.
    pub fn idempotency_key(&self) -> &str {
        &self.key
    }

    /// Sets the task's deadline: it fails if it has not ended so long after its
    /// beginning. The server refuses what is longer than the tool's `max_wait`;
    /// native tasks of servers that are not made with this crate do not know of
    /// it.
    pub fn with_max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = Some(max_wait);
        self
    }

    /// [`TaskClient::with_time_limit`] for this call alone.
    pub fn with_time_limit(mut self, limit: Duration) -> Self {
        self.client = self.client.with_time_limit(limit);
        self
    }

    /// Answers what the task asks. The callback is called once for each
    /// question, one after the other, while the call is awaited; it may take
    /// its time, and is dropped if the question need not be answered any more.
    pub fn on_input<F, A>(mut self, callback: F) -> Self
    where
        F: Fn(Question) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        self.on_input = Some(Arc::new(move |question| callback(question).boxed()));
        self
    }

    /// Makes the call: the server accepts it, and there is a task.
    ///
    /// # Errors
    ///
    /// [`CallError`], before all [`Refused`](CallError::Refused).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, there may be a task or not; the same call
    /// with the same idempotency key finds out.
    pub async fn start(self) -> Result<TaskHandle<O>, CallError> {
        let deadline = self.client.deadline();
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, self.make(Some(deadline)))
                .await
                .unwrap_or(Err(CallError::TimedOut { task_id: None })),
            None => self.make(None).await,
        }
    }

    async fn make(self, deadline: Option<Instant>) -> Result<TaskHandle<O>, CallError> {
        let arguments = self.arguments.map_err(CallError::Arguments)?;
        for (name, instead) in [
            ("idempotency_key", "with_idempotency_key"),
            ("max_wait_seconds", "with_max_wait"),
        ] {
            if arguments.contains_key(name) {
                return Err(CallError::Arguments(format!(
                    "`{name}` is no argument of the tool; use `{instead}`"
                )));
            }
        }
        let mut start = Start {
            arguments,
            key: self.key,
            max_wait: self.max_wait,
            answers: None,
            state: None,
        };
        for _ in 0..ROUNDS {
            match self.client.ask(&self.names, Ask::Start(&start)).await? {
                Reply::Seen(seen) => {
                    let task = TaskHandle::new(self.client, self.names, None, deadline);
                    return Ok(task.begun(*seen, self.on_input));
                }
                Reply::Asks { questions, state } => {
                    start.answers = answers(questions, self.on_input.as_ref()).await?;
                    start.state = state;
                }
                Reply::Heard => break,
            }
        }
        Err(CallError::Protocol("no task came of the call".to_owned()))
    }
}

async fn answers(
    questions: Vec<Question>,
    on_input: Option<&OnInput>,
) -> Result<Option<InputResponses>, CallError> {
    let mut answers = InputResponses::new();
    for question in questions {
        let Some(on_input) = on_input else {
            return Err(CallError::NeedsInput {
                task_id: None,
                question: Box::new(question),
            });
        };
        let key = question.key.clone();
        answers.insert(key, json!(on_input(question).await));
    }
    Ok((!answers.is_empty()).then_some(answers))
}

/// Starts the task and waits for its result.
impl<O: DeserializeOwned + 'static> IntoFuture for TaskCall<O> {
    type Output = Result<O, CallError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move { self.start().await?.result().await }.boxed()
    }
}

impl<O> fmt::Debug for TaskCall<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskCall")
            .field("tool", &self.names.tool)
            .finish_non_exhaustive()
    }
}
