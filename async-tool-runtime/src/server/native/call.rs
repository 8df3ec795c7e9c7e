//! `tools/call` of a native tool: a task for those who speak tasks, a wait for
//! the end for the others.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientResult, ContentBlock,
    CreateTaskResult, ElicitRequest, ElicitRequestParams, ErrorData, InputRequiredResult,
    ServerRequest,
};
use rmcp::service::{Peer, RequestContext};
use serde_json::{Map, Value, json};

use super::shape::{elicitation_params, input_requests, task};
use super::{KEY, MAX_WAIT, ending, is_modern, speaks_tasks, undeclared};
use crate::catalog::Entry;
use crate::descriptor::Undeclared;
use crate::engine::{Asker, Initiate, Reporter, Until, View, Wait};
use crate::input::Answer;
use crate::refusal::{Problem, Refusal};
use crate::server::published::{KEY_RULE, Member};
use crate::server::tools::{Notifier, ToolServer};
use crate::server::wire;
use crate::store::{Outcome, Status};
use crate::task::{Principal, TaskId};

/// A pause where a wait came back early: too many calls wait.
const PAUSE: Duration = Duration::from_secs(1);

/// A refused call: the protocol's error where the client lacks a capability,
/// and otherwise a result that a model can read.
pub(crate) enum NotCalled {
    Refused(Refusal),
    Protocol(ErrorData),
}

impl From<Refusal> for NotCalled {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl ToolServer {
    pub(crate) async fn call_native(
        &self,
        member: &Member,
        entry: &Arc<Entry>,
        principal: Option<Principal>,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, NotCalled> {
        // Before anything is done: who does not declare tasks gets none.
        let declared = speaks_tasks(context);
        if !declared && entry.descriptor.undeclared == Undeclared::Reject {
            return Err(NotCalled::Protocol(undeclared()));
        }
        if let (Some(state), false) = (&request.request_state, declared) {
            return self
                .go_on(entry, principal, state, request.input_responses, context)
                .await;
        }
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        member
            .check(&arguments)
            .map_err(Refusal::InvalidArguments)?;
        let Value::Object(arguments) = arguments else {
            return Err(Refusal::Internal.into());
        };
        let (key, max_wait) = controls(entry, &context.meta.0, self.engine.config.max_age)?;
        let call = Initiate {
            entry: Arc::clone(entry),
            principal: principal.clone(),
            arguments,
            key,
            max_wait,
        };
        let initiated = self.engine.initiate(call).await?;
        if initiated.view.is_done() {
            return Ok(ended(&initiated.view, entry)?.into());
        }
        if declared {
            let created = CreateTaskResult::new(task(&initiated.view));
            return Ok(CallToolResponse::Task(created));
        }
        let id = initiated.view.record.id;
        self.wait_for_end(entry, principal, id, context).await
    }

    /// A call that is made again with answers to what its task asked.
    async fn go_on(
        &self,
        entry: &Arc<Entry>,
        principal: Option<Principal>,
        state: &str,
        responses: Option<rmcp::model::InputResponses>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, NotCalled> {
        // The id itself: nobody can guess it, and whose it is will be checked.
        let id: TaskId = state.parse().map_err(|_| Refusal::TaskNotFound)?;
        let asker = of(entry, principal.as_ref());
        self.take_answers(asker, id, responses.unwrap_or_default())
            .await
            .map_err(NotCalled::Protocol)?;
        self.wait_for_end(entry, principal, id, context).await
    }

    /// Waits until the task has ended; if the client takes its request back,
    /// the task is cancelled, for nobody else knows of it.
    async fn wait_for_end(
        &self,
        entry: &Arc<Entry>,
        principal: Option<Principal>,
        id: TaskId,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, NotCalled> {
        let asker = of(entry, principal.as_ref());
        let abandoned = AbandonGuard {
            server: self,
            principal: principal.clone(),
            id: Some(id),
        };
        let waited = tokio::select! {
            waited = self.until_ended(entry, asker, id, context) => waited,
            () = context.ct.cancelled() => return Err(Refusal::Abandoned.into()),
        };
        abandoned.disarm();
        waited
    }

    async fn until_ended(
        &self,
        entry: &Arc<Entry>,
        asker: Asker<'_>,
        id: TaskId,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, NotCalled> {
        let mut reporter = Notifier::of(context);
        loop {
            let wait = Wait {
                duration: self.engine.config.max_age,
                until: Until::Done,
                since: None,
            };
            let reporter = reporter
                .as_mut()
                .map(|notifier| notifier as &mut dyn Reporter);
            let view = self.engine.status(asker, id, wait, reporter).await?;
            if view.is_done() {
                return Ok(ended(&view, entry)?.into());
            }
            if view.record.status == Status::InputRequired {
                if let Some(response) = self.pass_on(entry, asker, &view, context).await? {
                    return Ok(response);
                }
            } else if self.engine.is_draining() {
                return Err(Refusal::ShuttingDown.into());
            } else {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Asks the client what the task asks: by an incomplete result under
    /// 2026-07-28, by a request of ours under older versions. None: it has been
    /// answered.
    async fn pass_on(
        &self,
        entry: &Entry,
        asker: Asker<'_>,
        view: &View,
        context: &RequestContext<RoleServer>,
    ) -> Result<Option<CallToolResponse>, NotCalled> {
        let id = view.record.id;
        let can_be_asked = context
            .client_capabilities()
            .is_some_and(|capabilities| capabilities.elicitation.is_some());
        if !can_be_asked {
            return self.cannot_ask(entry, asker, view).await.map(Some);
        }
        if is_modern(context) {
            let incomplete =
                InputRequiredResult::new(Some(input_requests(view)), Some(id.to_string()));
            return Ok(Some(incomplete.into()));
        }
        let open = view.record.open_questions().next();
        let asked = open.and_then(|question| Some((question, elicitation_params(question)?)));
        let Some((question, params)) = asked else {
            return self.cannot_ask(entry, asker, view).await.map(Some);
        };
        let answer = elicit(&context.peer, params).await;
        match self.engine.answer(asker, id, &question.key, &answer).await {
            Ok(_) | Err(Refusal::QuestionClosed(_)) => Ok(None),
            // What does not fit is no answer; the client may try once more.
            Err(Refusal::InvalidArguments(_)) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Nobody can answer through this call. Where there are plain tools, they
    /// can; otherwise the task would wait for nothing.
    async fn cannot_ask(
        &self,
        entry: &Entry,
        asker: Asker<'_>,
        view: &View,
    ) -> Result<CallToolResponse, NotCalled> {
        let id = view.record.id;
        let text = if entry.has_plain_tools() {
            format!(
                "The task {id} asks something that this client cannot be asked. Call {} with this \
                 task_id to read the question, {} to answer it, and {} again for the result.",
                entry.status_name(),
                entry.respond_name(),
                entry.status_name(),
            )
        } else {
            let reason = "it asked something, and its client cannot be asked";
            self.engine.request_cancel(asker, id, reason.into()).await?;
            format!("The task was cancelled: {reason}.")
        };
        Ok(CallToolResult::error(vec![ContentBlock::text(text)]).into())
    }
}

/// Asks a client of an older version. One that cannot say anything has put the
/// question aside.
async fn elicit(peer: &Peer<RoleServer>, params: ElicitRequestParams) -> Answer {
    let request = ServerRequest::ElicitRequest(ElicitRequest::new(params));
    match peer.send_request(request).await {
        Ok(ClientResult::ElicitResult(result)) => serde_json::to_value(result)
            .ok()
            .and_then(Answer::from_value)
            .unwrap_or(Answer::Cancel),
        Ok(_) => Answer::Cancel,
        Err(error) => {
            tracing::debug!(%error, "a client did not answer a question");
            Answer::Cancel
        }
    }
}

fn of<'a>(entry: &'a Entry, principal: Option<&'a Principal>) -> Asker<'a> {
    Asker {
        tool: Some(&entry.name),
        principal,
    }
}

/// The answer to the call of a task that has ended.
fn ended(view: &View, entry: &Entry) -> Result<CallToolResult, NotCalled> {
    match ending(view, Some(entry)) {
        Some(Ok(result)) => Ok(result),
        Some(Err(error)) => Err(NotCalled::Protocol(error)),
        None => {
            let reason = match &view.record.outcome {
                Some(Outcome::Cancelled(reason)) if !reason.is_empty() => reason,
                _ => "the task was cancelled",
            };
            let error =
                json!({"error": {"code": "cancelled", "message": reason, "retryable": false}});
            Ok(CallToolResult::error(vec![ContentBlock::text(
                error.to_string(),
            )]))
        }
    }
}

/// What a call says in its `_meta` that the initiate tool has properties for.
fn controls(
    entry: &Entry,
    meta: &Map<String, Value>,
    max_age: Duration,
) -> Result<(Option<String>, Option<Duration>), Refusal> {
    let wrong = |path: &str, message: String| {
        Refusal::InvalidArguments(vec![Problem::new(format!("/_meta/{path}"), message)])
    };
    let key = match meta.get(KEY) {
        None => None,
        Some(Value::String(key))
            if (1..=255).contains(&key.len())
                && key.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Some(key.clone())
        }
        Some(_) => return Err(wrong(KEY, KEY_RULE.to_owned())),
    };
    let most = entry.descriptor.max_wait.unwrap_or(max_age);
    let max_wait = match meta.get(MAX_WAIT) {
        None => None,
        Some(seconds) => Some(
            seconds
                .as_f64()
                .filter(|seconds| *seconds > 0.0)
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .filter(|wait| *wait <= most)
                .ok_or_else(|| {
                    let most = most.as_secs_f64();
                    wrong(
                        MAX_WAIT,
                        format!("must be a number above 0 and at most {most}"),
                    )
                })?,
        ),
    };
    Ok((key, max_wait))
}

/// Cancels the task of a call that goes away.
struct AbandonGuard<'a> {
    server: &'a ToolServer,
    principal: Option<Principal>,
    id: Option<TaskId>,
}

impl AbandonGuard<'_> {
    fn disarm(mut self) {
        self.id = None;
    }
}

impl Drop for AbandonGuard<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else {
            return;
        };
        let (engine, principal) = (Arc::clone(&self.server.engine), self.principal.take());
        tokio::spawn(async move {
            let asker = Asker {
                tool: None,
                principal: principal.as_ref(),
            };
            let reason = "its caller took the call back";
            if let Err(refusal) = engine.request_cancel(asker, id, reason.into()).await {
                tracing::debug!(code = refusal.code(), "could not cancel an abandoned task");
            }
        });
    }
}

/// A refusal as the result of a native call: text alone, for a structure would
/// have to match the schema of results.
pub(crate) fn refused(refusal: &Refusal) -> CallToolResult {
    let mut result = wire::refused(refusal);
    result.structured_content = None;
    result
}
