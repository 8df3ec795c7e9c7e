//! A task that is followed.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::future::{BoxFuture, pending};
use futures_util::{FutureExt, stream};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::TaskClient;
use super::attempt::{Ask, Reply};
use super::error::CallError;
use super::input::{Answer, Answering, OnInput, Question};
use super::route::ToolNames;
use super::snapshot::{End, Seen, Snapshot};

/// The pause where the server does not say how long it would like it.
const PAUSE: Duration = Duration::from_secs(1);
/// No pause is shorter.
const LEAST_PAUSE: Duration = Duration::from_millis(50);
/// A server that took so long for an answer has waited, although not for as
/// long as it was asked to; it need not be given a pause as well.
const WAITED: Duration = Duration::from_secs(1);

/// A task on a server, whose result is an `O`. Await it for the result.
///
/// The task is asked about only while [`result`](Self::result) or
/// [`next`](Self::next) is awaited. To drop the handle cancels nothing: the
/// task goes on, and [`TaskClient::resume`] finds it by its id.
pub struct TaskHandle<O> {
    asker: Asker,
    /// What was seen last.
    latest: Option<Snapshot>,
    /// [`next`](Self::next) has not shown it.
    is_news: bool,
    end: Option<End>,
    pace: Pace,
    on_input: Option<OnInput>,
    /// The question that is being answered, by its key.
    answering: Option<(String, Answering)>,
    /// The keys of what has been answered: servers may show it for a while.
    answered: HashSet<String>,
    output: PhantomData<fn() -> O>,
}

/// Whom to ask about what.
struct Asker {
    client: TaskClient,
    names: Arc<ToolNames>,
    /// None of a call that was answered with its end.
    task_id: Option<String>,
    /// When the client gives up waiting.
    deadline: Option<Instant>,
}

/// When to ask again.
struct Pace {
    /// What the server would like.
    poll_after: Duration,
    not_before: Instant,
}

/// A look at the task.
#[derive(Clone, Copy)]
struct Look {
    not_before: Instant,
    /// The server may wait for the end for so long.
    wait: Duration,
    /// If it does not wait, the next look is so much later.
    pause: Duration,
}

impl<O> TaskHandle<O> {
    pub(super) fn new(
        client: TaskClient,
        names: Arc<ToolNames>,
        task_id: Option<String>,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            asker: Asker {
                client,
                names,
                task_id,
                deadline,
            },
            latest: None,
            is_news: false,
            end: None,
            pace: Pace {
                poll_after: PAUSE,
                not_before: Instant::now(),
            },
            on_input: None,
            answering: None,
            answered: HashSet::new(),
            output: PhantomData,
        }
    }

    /// The task of a call that has been made.
    pub(super) fn begun(mut self, seen: Seen, on_input: Option<OnInput>) -> Self {
        self.on_input = on_input;
        self.take_in(seen);
        self
    }

    /// The task's id, by which [`TaskClient::resume`] finds it again. None if
    /// the server answered the call itself with its end, as it may with the
    /// protocol's own tasks: there is nothing to find then.
    pub fn task_id(&self) -> Option<&str> {
        self.asker.task_id.as_deref()
    }

    /// Answers what the task asks, as
    /// [`TaskCall::on_input`](super::TaskCall::on_input) does; for tasks that
    /// were [resumed](TaskClient::resume).
    #[must_use]
    pub fn on_input<F, A>(mut self, callback: F) -> Self
    where
        F: Fn(Question) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        self.on_input = Some(Arc::new(move |question| callback(question).boxed()));
        self
    }

    /// The next snapshot: the first is that of the beginning, the last that of
    /// the end; none after that.
    ///
    /// The task is looked at as often as its server would like (after a second
    /// at first, after half a minute at last) or [`TaskClient::with_refresh`]
    /// says, and when it ends.
    ///
    /// # Errors
    ///
    /// A [`CallError`] about the connection or the question itself: that the
    /// task failed is a snapshot, and an error of [`result`](Self::result).
    /// Going on after an error asks again.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: use it in `select!`.
    pub async fn next(&mut self) -> Option<Result<Snapshot, CallError>> {
        while !self.is_news && self.end.is_none() {
            let look = self.pace.for_news(&self.asker.client);
            if let Err(error) = self.advance(look).await {
                return Some(Err(error));
            }
        }
        if !std::mem::take(&mut self.is_news) {
            return None;
        }
        self.latest.clone().map(Ok)
    }

    /// [`next`](Self::next) as a stream.
    pub fn progress(&mut self) -> impl Stream<Item = Result<Snapshot, CallError>> + Send + '_ {
        Box::pin(stream::unfold(self, |task| async move {
            task.next().await.map(|snapshot| (snapshot, task))
        }))
    }

    /// Waits for the end, and answers with the result.
    ///
    /// # Errors
    ///
    /// [`CallError`], of which [`Failed`](CallError::Failed) and
    /// [`Cancelled`](CallError::Cancelled) are ends of the task. After any other
    /// the task may go on, and so may this, by calling it again.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: use it in `select!`. The task goes on.
    pub async fn result(&mut self) -> Result<O, CallError>
    where
        O: DeserializeOwned,
    {
        loop {
            if let Some(end) = &self.end {
                let task_id = self.asker.task_id.clone();
                return match end {
                    End::Completed(result) => O::deserialize(result).map_err(CallError::Result),
                    End::Failed(failure) => Err(CallError::Failed {
                        task_id,
                        failure: failure.clone(),
                    }),
                    End::Cancelled(reason) => Err(CallError::Cancelled {
                        task_id,
                        reason: reason.clone(),
                    }),
                };
            }
            let look = self.pace.for_end(&self.asker.client);
            self.advance(look).await?;
            if let Some(question) = self.open_question()
                && self.on_input.is_none()
            {
                return Err(CallError::NeedsInput {
                    task_id: self.asker.task_id.clone(),
                    question: Box::new(question.clone()),
                });
            }
        }
    }

    /// Asks the task to stop, and says whether it has ended by now.
    ///
    /// How it ended, [`result`](Self::result) tells:
    /// [`Cancelled`](CallError::Cancelled), or whatever came before.
    ///
    /// # Errors
    ///
    /// [`CallError`], if the server could not be told.
    pub async fn cancel(&mut self, reason: &str) -> Result<bool, CallError> {
        if let (Some(task_id), None) = (&self.asker.task_id, &self.end) {
            let told = self.asker.ask(Ask::Cancel { task_id, reason }).await?;
            self.pace.hurry();
            if let Reply::Seen(seen) = told {
                self.take_in(*seen);
            }
        }
        Ok(self.end.is_some())
    }

    /// Answers a question that a [`Snapshot`] shows. It is no error if it has
    /// been answered before, or need not be any more.
    ///
    /// # Errors
    ///
    /// [`CallError`], before all [`Refused`](CallError::Refused) for what does
    /// not fit the question's schema.
    pub async fn answer(&mut self, key: &str, answer: Answer) -> Result<(), CallError> {
        if let Some(task_id) = &self.asker.task_id {
            let ask = Ask::Respond {
                task_id,
                key,
                answer: &answer,
            };
            self.asker.ask(ask).await?;
            self.answered.insert(key.to_owned());
            self.pace.hurry();
        }
        Ok(())
    }

    /// Looks at the task, or answers what it asked, whichever comes first.
    async fn advance(&mut self, look: Look) -> Result<(), CallError> {
        let Self {
            asker, answering, ..
        } = self;
        let began = look.not_before.max(Instant::now());
        let answered = async {
            match answering {
                Some((key, answering)) => (key.clone(), answering.answer().await),
                None => pending().await,
            }
        };
        let answered = tokio::select! {
            seen = asker.look(look) => {
                let seen = seen?;
                self.pace.set(look, began, &seen);
                self.take_in(*seen);
                return Ok(());
            }
            answered = answered => answered,
        };
        let (key, answer) = answered;
        let told = self.answer(&key, answer).await;
        if matches!(told, Ok(()) | Err(CallError::Refused { .. })) {
            // Refused: whoever gave it is asked for a better one.
            self.answering = None;
        }
        told
    }

    fn take_in(&mut self, seen: Seen) {
        if seen.task_id.is_some() {
            self.asker.task_id = seen.task_id;
        }
        self.is_news |= self.latest.as_ref() != Some(&seen.snapshot);
        self.latest = Some(seen.snapshot);
        self.end = seen.end;
        let open = self.open_question().cloned();
        let is_same = |(key, _): &(String, Answering)| {
            open.as_ref().is_some_and(|question| question.key == *key)
        };
        if !self.answering.as_ref().is_some_and(is_same) {
            self.answering = open
                .zip(self.on_input.as_ref())
                .map(|(question, on_input)| {
                    let key = question.key.clone();
                    (key, Answering::Thinking(on_input(question)))
                });
        }
    }

    /// What the task waits for, and has not been answered from here.
    fn open_question(&self) -> Option<&Question> {
        let snapshot = self.latest.as_ref()?;
        let mut open = snapshot.questions.iter();
        open.find(|question| self.end.is_none() && !self.answered.contains(&question.key))
    }
}

impl Asker {
    async fn ask(&self, ask: Ask<'_>) -> Result<Reply, CallError> {
        let asked = self.client.ask(&self.names, ask);
        match self.deadline {
            Some(deadline) => match timeout_at(deadline, asked).await {
                Ok(told) => told,
                Err(_) => Err(CallError::TimedOut {
                    task_id: self.task_id.clone(),
                }),
            },
            None => asked.await,
        }
    }

    async fn look(&self, look: Look) -> Result<Box<Seen>, CallError> {
        let no_task = || CallError::Protocol("no task where there was one".to_owned());
        let task_id = self.task_id.as_deref().ok_or_else(no_task)?;
        let ask = Ask::Look {
            task_id,
            wait: look.wait,
        };
        // Nobody waits for the end of a pause that is beyond the time limit.
        let until = look.not_before;
        sleep_until(self.deadline.map_or(until, |deadline| deadline.min(until))).await;
        match self.ask(ask).await? {
            Reply::Seen(seen) => Ok(seen),
            Reply::Heard | Reply::Asks { .. } => Err(no_task()),
        }
    }
}

impl Pace {
    fn for_end(&self, client: &TaskClient) -> Look {
        Look {
            not_before: self.not_before,
            wait: client.options.wait,
            pause: self.poll_after.max(LEAST_PAUSE),
        }
    }

    fn for_news(&self, client: &TaskClient) -> Look {
        let pause = client.options.refresh.unwrap_or(self.poll_after);
        let pause = pause.max(LEAST_PAUSE);
        Look {
            not_before: self.not_before,
            wait: pause.min(client.options.wait),
            pause,
        }
    }

    /// After a look, when the next one is due.
    fn set(&mut self, look: Look, began: Instant, seen: &Seen) {
        self.poll_after = seen.poll_after.unwrap_or(PAUSE);
        let has_waited = seen.waits && began.elapsed() >= look.wait.min(WAITED);
        self.not_before = if has_waited {
            Instant::now()
        } else {
            // Never before the server likes it; and of many who follow tasks,
            // each at a moment of its own.
            began + look.pause.mul_f64(1.0 + fastrand::f64() / 4.0)
        };
    }

    /// Something is about to happen.
    fn hurry(&mut self) {
        self.not_before = Instant::now();
    }
}

/// Waits for the result, as [`TaskHandle::result`] does.
impl<O: DeserializeOwned + 'static> IntoFuture for TaskHandle<O> {
    type Output = Result<O, CallError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(mut self) -> Self::IntoFuture {
        async move { self.result().await }.boxed()
    }
}

impl<O> fmt::Debug for TaskHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle")
            .field("tool", &self.asker.names.tool)
            .field("task_id", &self.asker.task_id)
            .field("latest", &self.latest)
            .finish_non_exhaustive()
    }
}
