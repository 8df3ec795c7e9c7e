//! From a `tools/call` to the engine and back.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ProgressNotificationParam,
    ProgressToken, Tool,
};
use rmcp::service::{Peer, RequestContext};
use rmcp::{ErrorData, RoleServer};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::native::{self, NotCalled};
use super::published::{Families, Member, Published, Role};
use super::request::{PrincipalRule, trace_of};
use super::subscribers::Subscribers;
use super::wire::{self, Snapshot, to_result};
use crate::catalog::Entry;
use crate::engine::{Asker, Engine, Initiate, Reporter, Until, View, Wait};
use crate::input::Answer;
use crate::refusal::Refusal;
use crate::task::Principal;
use crate::telemetry::TraceContext;

/// Answers calls of the published tools.
pub(crate) struct ToolServer {
    pub(crate) engine: Arc<Engine>,
    pub(crate) families: Families,
    pub(crate) principal: PrincipalRule,
    pub(crate) subscribers: Subscribers,
}

impl ToolServer {
    pub(crate) fn tools(&self) -> &[Tool] {
        self.families.tools()
    }

    /// Calls one of the published tools; `None` if there is none of this
    /// name. Refusals are results, which a model can read and repair.
    pub(crate) async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Option<Result<CallToolResponse, ErrorData>> {
        let name = request.name.clone();
        let published = self.families.get(&name)?;
        let is_native = matches!(published, Published::Member(member) if matches!(member.role, Role::Native(_)));
        // Finding the principal and reading arguments run the application's
        // code; rmcp does not answer a request whose handler panics.
        let answered = AssertUnwindSafe(async {
            let principal = self.principal.of(context)?;
            match published {
                Published::Member(member) => match &member.role {
                    Role::Native(entry) => {
                        self.call_native(member, entry, principal, request, context)
                            .await
                    }
                    role => {
                        let arguments = request.arguments.unwrap_or_default();
                        let answer = self.answer(member, role, principal, arguments, context);
                        Ok(answer.await?.into())
                    }
                },
                Published::List(list) => {
                    let arguments = request.arguments.unwrap_or_default();
                    let page = list.call(&self.engine, principal, arguments).await?;
                    Ok(page.into())
                }
            }
        })
        .catch_unwind()
        .await
        .unwrap_or(Err(NotCalled::Refused(Refusal::Internal)));
        Some(match answered {
            Ok(answer) => Ok(answer),
            Err(NotCalled::Protocol(error)) => Err(error),
            Err(NotCalled::Refused(refusal)) => {
                tracing::debug!(tool = &*name, code = refusal.code(), "refused a call");
                self.count_refusal(published.entry(), &refusal);
                Ok(if is_native {
                    native::refused(&refusal).into()
                } else {
                    wire::refused(&refusal).into()
                })
            }
        })
    }

    pub(super) fn count_refusal(&self, entry: Option<&Arc<Entry>>, refusal: &Refusal) {
        let tool = entry.map(|entry| &*entry.name);
        let meters = &self.engine.telemetry.meters;
        meters.refused(tool, refusal.code());
    }

    async fn answer(
        &self,
        member: &Member,
        role: &Role,
        principal: Option<Principal>,
        arguments: Map<String, Value>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Refusal> {
        let mut arguments = Value::Object(arguments);
        member
            .check(&arguments)
            .map_err(Refusal::InvalidArguments)?;
        let arguments = arguments
            .as_object_mut()
            .map(std::mem::take)
            .unwrap_or_default();
        let of =
            |entry: &'_ Option<Arc<Entry>>| entry.as_ref().map(|entry| Arc::clone(&entry.name));
        match role {
            Role::Initiate(entry) => {
                let trace = trace_of(context);
                self.initiate(entry, principal, arguments, trace).await
            }
            Role::Status(entry) => {
                let tool = of(entry);
                let asker = asker(tool.as_deref(), principal.as_ref());
                self.status(asker, &arguments, context).await
            }
            Role::Cancel(entry) => {
                let tool = of(entry);
                let asker = asker(tool.as_deref(), principal.as_ref());
                self.cancel(asker, &arguments).await
            }
            Role::Respond(entry) => {
                let tool = of(entry);
                let asker = asker(tool.as_deref(), principal.as_ref());
                self.respond(asker, arguments).await
            }
            // It is called in another way.
            Role::Native(_) => Err(Refusal::Internal),
        }
    }

    async fn initiate(
        &self,
        entry: &Arc<Entry>,
        principal: Option<Principal>,
        mut arguments: Map<String, Value>,
        trace: Option<TraceContext>,
    ) -> Result<CallToolResult, Refusal> {
        let key = arguments.remove("idempotency_key");
        let max_wait = arguments.remove("max_wait_seconds");
        let call = Initiate {
            entry: Arc::clone(entry),
            principal,
            arguments,
            key: key.and_then(|key| key.as_str().map(str::to_owned)),
            max_wait: max_wait.and_then(|seconds| duration(&seconds)),
            trace,
        };
        let initiated = self.engine.initiate(call).await?;
        let snapshot = Snapshot::of(&initiated.view, true).first(
            &initiated.view,
            entry,
            initiated.replayed,
            self.engine.config.wait_cap,
        );
        Ok(to_result(&snapshot))
    }

    async fn status(
        &self,
        asker: Asker<'_>,
        arguments: &Map<String, Value>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Refusal> {
        let wait = Wait {
            duration: arguments
                .get("wait_seconds")
                .and_then(duration)
                .unwrap_or_default()
                .min(self.engine.config.wait_cap),
            until: match arguments.get("until").and_then(Value::as_str) {
                Some("step") => Until::Step,
                _ => Until::Done,
            },
            since: arguments.get("since").and_then(Value::as_u64),
        };
        let id = task_id(arguments)?;
        let mut reporter = Notifier::of(context);
        let reporter = reporter
            .as_mut()
            .map(|notifier| notifier as &mut dyn Reporter);
        let status = async {
            if wait.duration.is_zero() {
                return self.engine.poll(asker, id).await;
            }
            let view = self.engine.status(asker, id, wait, reporter).await?;
            self.count_read(&view);
            Ok(view)
        };
        // A waiting call that nobody waits for any more ends.
        let view = tokio::select! {
            view = status => view?,
            () = context.ct.cancelled() => return Err(Refusal::Abandoned),
        };
        let include_result = arguments
            .get("include_result")
            .and_then(Value::as_bool)
            .unwrap_or(true);
        let lines = arguments
            .get("log_lines")
            .and_then(Value::as_u64)
            .and_then(|lines| usize::try_from(lines).ok())
            .unwrap_or(0);
        let log = match lines {
            0 => None,
            lines => Some(self.engine.log(view.record.id, lines).await?),
        };
        let snapshot = Snapshot::of(&view, include_result).with_log(log.as_deref());
        Ok(self.answered(snapshot, &view))
    }

    /// A client read a task.
    pub(super) fn count_read(&self, view: &View) {
        let meters = &self.engine.telemetry.meters;
        meters.status_call(&view.record.tool, false);
    }

    /// A snapshot as the answer to a call; one that asks says how to answer.
    fn answered<'a>(&'a self, snapshot: Snapshot<'a>, view: &'a View) -> CallToolResult {
        let entry = self.engine.catalog.get(&view.record.tool);
        to_result(&snapshot.asking(view, entry.map(AsRef::as_ref)))
    }

    async fn cancel(
        &self,
        asker: Asker<'_>,
        arguments: &Map<String, Value>,
    ) -> Result<CallToolResult, Refusal> {
        let reason = arguments
            .get("reason")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let view = self
            .engine
            .cancel(asker, task_id(arguments)?, reason.into())
            .await?;
        Ok(self.answered(Snapshot::of(&view, true), &view))
    }

    async fn respond(
        &self,
        asker: Asker<'_>,
        mut arguments: Map<String, Value>,
    ) -> Result<CallToolResult, Refusal> {
        let id = task_id(&arguments)?;
        let key = arguments.remove("key");
        let key = key.as_ref().and_then(Value::as_str).unwrap_or_default();
        // The schema has let nothing else pass.
        let answer =
            Answer::from_value(Value::Object(arguments.clone())).ok_or(Refusal::Internal)?;
        let view = self.engine.answer(asker, id, key, &answer).await?;
        Ok(self.answered(Snapshot::of(&view, true), &view))
    }
}

fn asker<'a>(tool: Option<&'a str>, principal: Option<&'a Principal>) -> Asker<'a> {
    Asker { tool, principal }
}

/// A text that is no id names no task.
fn task_id(arguments: &Map<String, Value>) -> Result<crate::TaskId, Refusal> {
    arguments
        .get("task_id")
        .and_then(Value::as_str)
        .and_then(|id| id.parse().ok())
        .ok_or(Refusal::TaskNotFound)
}

/// Seconds as a duration; too many are as many as there can be.
fn duration(seconds: &Value) -> Option<Duration> {
    let seconds = seconds.as_f64()?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Sends progress notifications while a call waits: at once, then at most two
/// a second and at least one every 15 seconds.
///
/// The number is how many seconds the call has waited, for it must grow
/// with each notification (specification 2025-11-25, basic/utilities/progress).
pub(super) struct Notifier {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    began: Instant,
    /// The last number.
    told: f64,
    last: Option<(Instant, String)>,
}

/// Clients end calls that are silent for long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

impl Notifier {
    /// None if the request did not ask for progress.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Option<Self> {
        Some(Self {
            peer: context.peer.clone(),
            token: context.meta.get_progress_token()?,
            began: Instant::now(),
            told: f64::NEG_INFINITY,
            last: None,
        })
    }
}

impl Reporter for Notifier {
    fn report<'a>(&'a mut self, view: &'a View) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let line = wire::line(view);
            if let Some((at, last)) = &self.last
                && *last == line
                && at.elapsed() < KEEP_ALIVE
            {
                return;
            }
            // Two may come at the same moment, where a wait is followed by another.
            const LEAST: f64 = 0.001;
            self.told = self.began.elapsed().as_secs_f64().max(self.told + LEAST);
            let progress = ProgressNotificationParam::new(self.token.clone(), self.told)
                .with_message(line.clone());
            // The client may have gone; its request ends by itself.
            let _ = self.peer.notify_progress(progress).await;
            self.last = Some((Instant::now(), line));
        })
    }
}
