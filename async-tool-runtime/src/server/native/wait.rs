//! The call of a native tool by a client that speaks no tasks: it waits for the
//! end, and passes on what the task asks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolResponse, CallToolResult, CancelledNotificationParam, ClientResult, ContentBlock,
    ElicitRequest, ElicitRequestParams, InputRequiredResult, RequestId, ServerRequest,
};
use rmcp::service::{Peer, PeerRequestOptions, RequestContext};
use serde_json::json;
use tokio::runtime::Handle;

use super::call::{Call, NotCalled, ended};
use super::is_modern;
use super::shape::{elicitation_params, input_requests};
use crate::engine::{Asker, Engine, Reporter, Until, View, Wait};
use crate::input::Answer;
use crate::refusal::Refusal;
use crate::server::tools::{Notifier, ToolServer};
use crate::steps::Pauses;
use crate::store::Status;
use crate::task::{Principal, TaskId};

/// How often a client may answer a question with what does not fit it; after
/// that it has put the question aside.
const MISFITS: u32 = 3;
/// A pause where a wait came back early: too many calls wait.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

impl ToolServer {
    /// Waits until the task has ended; if the client takes its request back, a
    /// task of its own is cancelled, for nobody else knows of it.
    pub(super) async fn wait_for_end(
        &self,
        call: &Call<'_>,
        waited: Waited,
    ) -> Result<CallToolResponse, NotCalled> {
        let abandoned = AbandonGuard {
            engine: &self.engine,
            principal: call.principal.clone(),
            id: waited.own.then_some(waited.id),
        };
        let answer = tokio::select! {
            answer = self.until_ended(call, waited) => answer,
            () = call.context.ct.cancelled() => return Err(Refusal::Abandoned.into()),
        };
        abandoned.disarm();
        answer
    }

    async fn until_ended(
        &self,
        call: &Call<'_>,
        waited: Waited,
    ) -> Result<CallToolResponse, NotCalled> {
        let mut reporter = Notifier::of(call.context);
        let mut misfits = 0;
        loop {
            let wait = Wait {
                duration: self.engine.config.max_age,
                until: Until::Done,
                since: None,
            };
            let view = match self.wait_once(call, waited.id, wait, &mut reporter).await {
                Ok(view) => view,
                // The task goes on, and nobody else knows its id.
                Err(Refusal::StoreUnavailable) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(refusal) => return Err(refusal.into()),
            };
            if view.is_done() {
                return Ok(ended(&view, call.entry)?.into());
            }
            if view.record.status == Status::InputRequired && !self.engine.is_draining() {
                let passed = self.pass_on(call, waited, &view, &mut reporter, &mut misfits);
                if let Some(response) = passed.await? {
                    return Ok(response);
                }
            } else if self.engine.is_stopped() {
                return Ok(left_behind(waited.id).into());
            } else {
                // Too many calls wait, or the server drains: its end may be near.
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn wait_once(
        &self,
        call: &Call<'_>,
        id: TaskId,
        wait: Wait,
        reporter: &mut Option<Notifier>,
    ) -> Result<View, Refusal> {
        let reporter = reporter
            .as_mut()
            .map(|notifier| notifier as &mut dyn Reporter);
        self.engine.status(call.asker(), id, wait, reporter).await
    }

    /// Asks the client what the task asks: by an incomplete result under
    /// 2026-07-28, by a request of ours under older versions. None: look again.
    async fn pass_on(
        &self,
        call: &Call<'_>,
        waited: Waited,
        view: &View,
        reporter: &mut Option<Notifier>,
        misfits: &mut u32,
    ) -> Result<Option<CallToolResponse>, NotCalled> {
        let open = view.record.open_questions().next();
        let asked = open.and_then(|question| Some((question, elicitation_params(question)?)));
        let (Some((question, params)), true) = (asked, fills_forms(call.context)) else {
            return self.cannot_ask(call, waited).await.map(Some);
        };
        if is_modern(call.context) {
            let state = waited.to_state(&call.digest);
            let incomplete = InputRequiredResult::new(Some(input_requests(view)), Some(state));
            return Ok(Some(incomplete.into()));
        }
        let answer = tokio::select! {
            answer = elicit(&call.context.peer, params, PeerRequestOptions::no_options()) => answer,
            // It may be answered elsewhere, or the task may end, while somebody
            // thinks about it here.
            () = self.until_closed(call.asker(), waited.id, &question.key) => return Ok(None),
            never = signs_of_life(reporter, view) => match never {},
        };
        let mut answer = match answer {
            Some(answer) => answer,
            // Who cannot say anything has put the question aside, where nobody
            // else can answer it.
            None if waited.own => Answer::Cancel,
            None => return self.cannot_ask(call, waited).await.map(Some),
        };
        if *misfits >= MISFITS {
            answer = Answer::Cancel;
        }
        let answered = self
            .engine
            .answer(call.asker(), waited.id, &question.key, &answer)
            .await;
        match answered {
            Ok(_) | Err(Refusal::QuestionClosed(_)) => Ok(None),
            Err(Refusal::InvalidArguments(_)) => {
                *misfits += 1;
                Ok(None)
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Completes when a question of a task is no longer open.
    pub(crate) async fn until_closed(&self, asker: Asker<'_>, id: TaskId, key: &str) {
        let Ok(mut following) = self.engine.follow_task(asker, id).await else {
            // Too many are followed: the client's answer will tell.
            return std::future::pending().await;
        };
        loop {
            let view = following.view();
            let open = view.record.open_questions().any(|open| *open.key == *key);
            let stopping = view.stopping || view.record.cancel.is_some();
            if !open || stopping || following.next().await.is_none() {
                return;
            }
        }
    }

    /// Nobody can answer through this call. Where there are plain tools, they
    /// can; otherwise a task that is this call's alone would wait for nothing.
    async fn cannot_ask(
        &self,
        call: &Call<'_>,
        waited: Waited,
    ) -> Result<CallToolResponse, NotCalled> {
        let (entry, id) = (call.entry, waited.id);
        let text = if entry.has_plain_tools() {
            format!(
                "The task {id} asks something that this client cannot be asked. Call {} with this \
                 task_id to read the question, {} to answer it, and {} again for the result.",
                entry.status_name(),
                entry.respond_name(),
                entry.status_name(),
            )
        } else if waited.own {
            let reason = "it asked something, and its client cannot be asked";
            self.engine
                .request_cancel(call.asker(), id, reason.into())
                .await?;
            format!("The task was cancelled: {reason}.")
        } else {
            format!("The task {id} asks something that this client cannot be asked; it goes on.")
        };
        Ok(CallToolResult::error(vec![ContentBlock::text(text)]).into())
    }
}

/// The task that a call waits for.
#[derive(Clone, Copy)]
pub(super) struct Waited {
    pub(super) id: TaskId,
    /// The call made it, and nobody else knows of it.
    pub(super) own: bool,
}

impl Waited {
    /// What a client sends back with its answers. The id cannot be guessed, and
    /// whose it is will be checked; the rest binds it to the same call
    /// (specification 2026-07-28, MRTR).
    fn to_state(self, digest: &str) -> String {
        let whose = if self.own { "own" } else { "shared" };
        format!("{}.{whose}.{digest}", self.id)
    }

    pub(super) fn from_state(state: &str, digest: &str) -> Option<Self> {
        let (id, rest) = state.split_once('.')?;
        let (whose, of) = rest.split_once('.')?;
        (of == digest).then_some(())?;
        Some(Self {
            id: id.parse().ok()?,
            own: whose == "own",
        })
    }
}

/// Tells a client that it is waited for somebody's answer, for as long as that
/// takes.
async fn signs_of_life(reporter: &mut Option<Notifier>, view: &View) -> Infallible {
    let Some(reporter) = reporter else {
        return std::future::pending().await;
    };
    loop {
        reporter.report(view).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether a client can be asked by a form: so it is where it does not say
/// which kinds of elicitation it has (specification 2025-11-25,
/// client/elicitation).
pub(crate) fn fills_forms(context: &RequestContext<RoleServer>) -> bool {
    let capabilities = context.client_capabilities();
    let elicitation = capabilities.and_then(|capabilities| capabilities.elicitation);
    elicitation.is_some_and(|kinds| kinds.form.is_some() || kinds.url.is_none())
}

/// The server ends before the task has.
fn left_behind(id: TaskId) -> CallToolResult {
    let error = json!({"error": {
        "code": "shutting_down",
        "message": format!(
            "the server ended before the task {id} had; it goes on when a server is there again, \
             or fails as interrupted: do not call again without looking"
        ),
        "retryable": false,
    }});
    CallToolResult::error(vec![ContentBlock::text(error.to_string())])
}

/// Asks a client of an older version; None if it says nothing to the question.
/// When this is dropped before, the client is told that nobody waits.
pub(crate) async fn elicit(
    peer: &Peer<RoleServer>,
    params: ElicitRequestParams,
    options: PeerRequestOptions,
) -> Option<Answer> {
    let request = ServerRequest::ElicitRequest(ElicitRequest::new(params));
    let handle = peer.send_cancellable_request(request, options).await.ok()?;
    let mut unanswered = Unanswered {
        peer,
        id: Some(handle.id.clone()),
    };
    let answer = handle.await_response().await;
    unanswered.id = None;
    match answer {
        Ok(ClientResult::ElicitResult(result)) => {
            Answer::from_value(serde_json::to_value(result).ok()?)
        }
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, "a client did not answer a question");
            None
        }
    }
}

/// Takes a question to the client back.
struct Unanswered<'a> {
    peer: &'a Peer<RoleServer>,
    id: Option<RequestId>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), Handle::try_current()) else {
            return;
        };
        let peer = self.peer.clone();
        runtime.spawn(async move {
            let reason = Some("it is not waited for any more".to_owned());
            let cancelled = CancelledNotificationParam::new(Some(id), reason);
            let _ = peer.notify_cancelled(cancelled).await;
        });
    }
}

/// Cancels the task of a call that goes away.
struct AbandonGuard<'a> {
    engine: &'a Arc<Engine>,
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
        let (Some(id), Ok(runtime)) = (self.id, Handle::try_current()) else {
            return;
        };
        let (engine, principal) = (Arc::clone(self.engine), self.principal.take());
        runtime.spawn(async move {
            let asker = Asker {
                tool: None,
                principal: principal.as_ref(),
            };
            let reason = "its caller took the call back";
            let mut pauses = Pauses::default();
            // Nobody else will: as long as the store is away, and the engine runs.
            while let Err(refusal) = engine.request_cancel(asker, id, reason.into()).await {
                tracing::debug!(code = refusal.code(), "could not cancel an abandoned task");
                if engine.is_stopped() || !matches!(refusal, Refusal::StoreUnavailable) {
                    return;
                }
                pauses.pause().await;
            }
        });
    }
}
