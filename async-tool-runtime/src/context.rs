//! What a tool's function can ask about the task that it executes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::engine::{Clock, Ends};
use crate::error::{BoxError, Cancelled};
use crate::input::{self, AskError, Inbox, NoDesk};
use crate::log::TaskLog;
use crate::progress::Progress;
use crate::steps::{self, NoJournal, StepBook, StepError};
use crate::task::{Epoch, Principal, TaskId};
use crate::telemetry::TraceContext;

/// The task that is being executed; borrow it as a parameter of the function.
/// Cloning gives another handle to the same task.
#[derive(Clone)]
pub struct TaskContext {
    facts: Arc<Facts>,
    progress: Progress,
    cancellation: CancellationToken,
    steps: Arc<StepBook>,
    inbox: Arc<Inbox>,
    log: Arc<TaskLog>,
}

/// What does not change during an attempt.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) id: TaskId,
    pub(crate) tool: String,
    pub(crate) attempt: u32,
    pub(crate) epoch: Epoch,
    pub(crate) principal: Option<Principal>,
    pub(crate) deadline: SystemTime,
    /// When this attempt must have ended, on tokio's clock.
    pub(crate) ends: Ends,
    /// Where in its caller's trace the attempt is.
    pub(crate) trace: Option<TraceContext>,
}

impl TaskContext {
    pub(crate) fn new(
        facts: Facts,
        progress: Progress,
        cancellation: CancellationToken,
        steps: StepBook,
        inbox: Inbox,
        log: Arc<TaskLog>,
    ) -> Self {
        Self {
            facts: Arc::new(facts),
            progress,
            cancellation,
            steps: Arc::new(steps),
            inbox: Arc::new(inbox),
            log,
        }
    }

    /// A context that belongs to no server, for calling a tool's function as
    /// the ordinary function that it is.
    pub fn detached(tool: &str) -> Self {
        const FAR: Duration = Duration::from_secs(24 * 60 * 60);
        Self::new(
            Facts {
                id: TaskId::random(),
                tool: tool.to_owned(),
                attempt: 1,
                epoch: Epoch(1),
                principal: None,
                deadline: SystemTime::now() + FAR,
                ends: Ends::at(tokio::time::Instant::now() + FAR),
                trace: None,
            },
            Progress::new(|_| {}),
            CancellationToken::new(),
            StepBook::new(1, NoJournal),
            Inbox::new(NoDesk),
            Arc::new(TaskLog::new(1, Clock::system())),
        )
    }

    /// The task's id, as its caller knows it.
    pub fn id(&self) -> TaskId {
        self.facts.id
    }

    /// The name of the tool.
    pub fn tool(&self) -> &str {
        &self.facts.tool
    }

    /// Which execution of the task this is; 1 is the first.
    pub fn attempt(&self) -> u32 {
        self.facts.attempt
    }

    /// A number that grows with every start of the task, whoever starts it.
    ///
    /// Systems outside can use it as a fencing token: what has seen a higher one
    /// refuses a lower one, which comes from a worker that was taken for dead
    /// and was not.
    pub fn epoch(&self) -> u64 {
        self.facts.epoch.0
    }

    /// On whose behalf the task runs, where the server establishes that.
    pub fn principal(&self) -> Option<&Principal> {
        self.facts.principal.as_ref()
    }

    /// Where in its caller's trace the task is, to be passed on with requests
    /// that it makes to others: the attempt's own span with the feature
    /// `opentelemetry` and its layer installed, what the caller sent otherwise.
    /// None where neither is known.
    pub fn trace_context(&self) -> Option<&TraceContext> {
        self.facts.trace.as_ref()
    }

    /// When the task must have ended, on the wall clock.
    pub fn deadline(&self) -> SystemTime {
        self.facts.deadline
    }

    /// How long this attempt may still run: until the deadline or the tool's
    /// timeout, whichever is first. The timeout stands still while the task
    /// waits for an [answer](Self::ask).
    pub fn time_left(&self) -> Duration {
        self.facts
            .ends
            .by()
            .saturating_duration_since(tokio::time::Instant::now())
    }

    /// Reports how far the task is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Appends a line to the task's log, which callers read with `log_lines` of
    /// the status tool. The last 50 lines are kept, and 500 characters of each;
    /// line breaks become spaces.
    pub fn log(&self, line: impl Into<String>) {
        self.log.append(line.into());
        self.progress.set_dirty();
    }

    /// Runs a step of the task, and records its result durably; when the task
    /// is started again, after its worker died or an error that is worth a
    /// retry, the recorded result is returned instead of running the step
    /// again.
    ///
    /// ```
    /// # use async_tool_runtime::{BoxError, StepError, TaskContext};
    /// # async fn unpack(_: &str) -> Result<u64, BoxError> { Ok(3) }
    /// # async fn deploy(task: &TaskContext) -> Result<(), StepError> {
    /// let files = task.step("unpack", || unpack("app.tar.gz")).await?;
    /// task.step("switch", || async {
    ///     std::fs::write("current", files.to_string())?;
    ///     Ok(())
    /// })
    /// .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A record is written once. The body runs *at least* once, for the
    /// process may die between its effect and its record: write it so that
    /// doing it again does no harm. [`epoch`](Self::epoch) is a fencing token for
    /// systems outside.
    ///
    /// The body's error is a [`BoxError`], into which `?` turns any other. What
    /// it gave to `spawn_blocking` goes on when the task is stopped: let it look
    /// at [`is_cancelled`](Self::is_cancelled) before it does what cannot be
    /// undone.
    ///
    /// Names are unique within a task, at most 100 bytes; there are at most 200
    /// of them, and a result has at most 256 KiB of JSON. Each step becomes a
    /// step of the task's [progress](Self::progress) by itself: declare them
    /// with [`Progress::steps`](crate::Progress::steps) to let callers see how
    /// many there are.
    ///
    /// # Errors
    ///
    /// [`StepError`]: the body's own error; or the task was asked to stop before
    /// the step began; or the recorded result does not fit this version of the
    /// tool; or name, number or size of a result are not as above.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the step has been recorded, or it has not and
    /// may be run again.
    pub async fn step<T, F, Fut>(&self, name: &str, body: F) -> Result<T, StepError>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, BoxError>>,
    {
        steps::run(self, name, body).await
    }

    /// Asks whoever called the tool, and waits for the answer. For tools with
    /// the option `interactive`.
    ///
    /// ```
    /// # use async_tool_runtime::{AskError, TaskContext};
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Approval {
    ///     /// Whether to go on.
    ///     approved: bool,
    /// }
    ///
    /// # async fn switch(task: &TaskContext) -> Result<(), AskError> {
    /// let answer: Approval = task.ask("Switch production to release 42?").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A client that speaks the protocol's tasks gets it as an elicitation; for
    /// the others the task's status is `input_required`, its snapshot has the
    /// question and the schema of an answer, and the tool `NAME_respond` answers
    /// it. Several questions may be open at once, at most 16: join the futures.
    ///
    /// While the task waits it takes no slot, and gets the next one that becomes
    /// free when it goes on; it keeps its concurrency key. The tool's timeout
    /// stands still, the deadline does not.
    ///
    /// The answer is recorded durably. When the task is started again, the same
    /// question (same text, same type, asked for the same time) is answered from
    /// the record; one that was open stays so, and can be answered meanwhile.
    ///
    /// `T` is a struct of strings, numbers, booleans and enums of strings, for
    /// MCP allows no more. A question has at most 2000 characters.
    ///
    /// # Errors
    ///
    /// [`AskError`]: the caller declined, or dismissed the question; the task
    /// was asked to stop; `T` or the question is not as above; the tool is not
    /// `interactive`.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the question is taken back. Asked once more
    /// it is another question.
    pub async fn ask<T>(&self, question: impl Into<String>) -> Result<T, AskError>
    where
        T: DeserializeOwned + JsonSchema,
    {
        input::ask(self, question.into()).await
    }

    pub(crate) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(crate) fn steps(&self) -> &StepBook {
        &self.steps
    }

    /// Fires when the task is asked to stop, for whatever reason: cancelled,
    /// out of time, or the server shuts down.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// Completes when the task is asked to stop.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn cancelled(&self) {
        self.cancellation.cancelled().await;
    }

    /// Whether the task was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// Ends a function early by `?` once the task was asked to stop.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] once the task was asked to stop.
    pub fn check_cancelled(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext")
            .field("id", &self.facts.id)
            .field("tool", &self.facts.tool)
            .field("attempt", &self.facts.attempt)
            .finish_non_exhaustive()
    }
}
