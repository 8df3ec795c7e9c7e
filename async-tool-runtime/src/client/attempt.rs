//! A request, tried until it is answered, as far as that does no harm.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::InputResponses;
use rmcp::service::ServiceError;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::TaskClient;
use super::error::{CallError, Failure};
use super::input::{Answer, Question};
use super::link::{Live, NoAnswer};
use super::route::{Route, ToolNames};
use super::snapshot::Seen;
use super::{family, native};
use crate::error::BoxError;

/// What is asked of the server, whichever tools or methods it has for it.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    Start(&'a Start),
    Look {
        task_id: &'a str,
        /// The server may wait for the end for so long.
        wait: Duration,
    },
    Cancel {
        task_id: &'a str,
        reason: &'a str,
    },
    Respond {
        task_id: &'a str,
        key: &'a str,
        answer: &'a Answer,
    },
}

/// A call that is to become a task.
pub(super) struct Start {
    pub(super) arguments: Map<String, Value>,
    pub(super) key: String,
    pub(super) max_wait: Option<Duration>,
    /// What the server asked about an earlier form of the call.
    pub(super) answers: Option<InputResponses>,
    /// What it wants to be told again, whatever it is.
    pub(super) state: Option<String>,
}

/// What the server says.
pub(super) enum Reply {
    Seen(Box<Seen>),
    /// Nothing but that it has heard.
    Heard,
    /// It wants to know more before there is a task.
    Asks {
        questions: Vec<Question>,
        state: Option<String>,
    },
}

/// Why there is no reply.
pub(super) enum Trouble {
    /// Nothing was sent, and nothing can be.
    Gone(BoxError),
    /// Nothing was sent.
    Unreachable(BoxError),
    /// It is not known what became of the request.
    NoAnswer(BoxError),
    /// The server says: later.
    Busy(Box<Failure>),
    /// Another try would give the same.
    Final(CallError),
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Final(error)
    }
}

impl Trouble {
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::Final(CallError::Protocol(message.into()))
    }
}

impl From<NoAnswer> for Trouble {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::TimedOut(elapsed) => Self::NoAnswer(elapsed),
            NoAnswer::Service(ServiceError::McpError(error)) => {
                Self::protocol(format!("{} ({})", error.message, error.code.0))
            }
            NoAnswer::Service(error @ ServiceError::UnexpectedResponse) => {
                Self::protocol(error.to_string())
            }
            NoAnswer::Service(error) => Self::NoAnswer(error.into()),
        }
    }
}

impl<'a> Ask<'a> {
    pub(super) fn task_id(self) -> Option<&'a str> {
        match self {
            Self::Start(_) => None,
            Self::Look { task_id, .. }
            | Self::Cancel { task_id, .. }
            | Self::Respond { task_id, .. } => Some(task_id),
        }
    }
}

impl TaskClient {
    /// Asks until there is a reply, or patience is at its end.
    pub(super) async fn ask(&self, names: &ToolNames, ask: Ask<'_>) -> Result<Reply, CallError> {
        let mut effort = Effort::new(self);
        loop {
            match self.attempt(names, ask).await {
                Ok(reply) => return Ok(reply),
                Err(trouble) => effort.put_up_with(trouble, ask.task_id()).await?,
            }
        }
    }

    async fn attempt(&self, names: &ToolNames, ask: Ask<'_>) -> Result<Reply, Trouble> {
        let live = self.link.live(self.options.answer).await?;
        let tried = self.attempt_on(&live, names, ask).await;
        if tried.is_err() && live.is_broken() {
            self.link.give_up(&live).await;
        }
        tried
    }

    async fn attempt_on(
        &self,
        live: &Arc<Live>,
        names: &ToolNames,
        ask: Ask<'_>,
    ) -> Result<Reply, Trouble> {
        let within = self.options.answer;
        let route = live
            .route(names, self.options.prefers_family, within)
            .await?;
        let repeatable = route.is_repeatable() || !matches!(ask, Ask::Start(_));
        let tried = match &route {
            Route::Family(family) => family::ask(live, family, ask, within).await,
            Route::Native(native) => native::ask(live, native, names, ask, within).await,
        };
        match tried {
            // To repeat it might start a second task.
            Err(Trouble::NoAnswer(error)) if !repeatable => Err(Trouble::Gone(error)),
            tried => tried,
        }
    }
}

/// How long a client puts up with a server.
struct Effort {
    patience: Duration,
    longest_pause: Duration,
    /// The next one.
    pause: Duration,
    /// When the trouble began.
    since: Option<Instant>,
}

impl Effort {
    fn new(client: &TaskClient) -> Self {
        Self {
            patience: client.options.patience,
            longest_pause: client.options.longest_pause,
            pause: client.options.first_pause,
            since: None,
        }
    }

    /// Waits before another try; or says what to give up with.
    async fn put_up_with(
        &mut self,
        trouble: Trouble,
        task_id: Option<&str>,
    ) -> Result<(), CallError> {
        let disconnected = |source| CallError::Disconnected {
            task_id: task_id.map(str::to_owned),
            source,
        };
        let (error, asked_for) = match trouble {
            Trouble::Final(error) => return Err(error),
            Trouble::Gone(source) => return Err(disconnected(source)),
            Trouble::Unreachable(source) | Trouble::NoAnswer(source) => {
                (disconnected(source), Duration::ZERO)
            }
            Trouble::Busy(failure) => {
                let after = failure.retry_after.unwrap_or_default();
                let task_id = task_id.map(str::to_owned);
                (CallError::Refused { task_id, failure }, after)
            }
        };
        // All that lost the same server come back at moments of their own.
        let pause = asked_for + self.pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed().saturating_add(pause) > self.patience {
            return Err(error);
        }
        tracing::debug!(%error, ?pause, "trying again");
        sleep(pause).await;
        self.pause = (self.pause * 2).min(self.longest_pause);
        Ok(())
    }
}
