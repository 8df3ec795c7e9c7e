//! `tools/call` of a native tool: a task for those who speak tasks, a wait for
//! the end for the others.

use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CreateTaskResult,
    ErrorCode, ErrorData,
};
use rmcp::service::RequestContext;
use serde_json::{Map, Value, json};

use super::shape::task;
use super::wait::Waited;
use super::{KEY, MAX_WAIT, TASK_ID, ending, is_modern, speaks_tasks, undeclared};
use crate::catalog::Entry;
use crate::descriptor::Undeclared;
use crate::engine::{Asker, Initiate, Initiated, View, Wait};
use crate::refusal::{Problem, Refusal};
use crate::server::published::{KEY_RULE, Member};
use crate::server::request::trace_of;
use crate::server::tools::ToolServer;
use crate::server::wire;
use crate::store::Outcome;
use crate::task::{Fingerprint, Principal};

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
            return Err(NotCalled::Protocol(if is_modern(context) {
                undeclared()
            } else {
                tasks_only(&entry.name)
            }));
        }
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let digest = Fingerprint::of(&entry.name, &arguments).to_hex();
        let call = Call {
            entry,
            principal,
            context,
            digest,
        };
        if let Some(state) = &request.request_state {
            let responses = request.input_responses.unwrap_or_default();
            return self.go_on(&call, state, responses, declared).await;
        }
        // A task that others may know of is not this call's to cancel.
        let shared = context.meta.0.contains_key(KEY) || entry.descriptor.dedupe.is_some();
        let principal = call.principal.clone();
        let initiated = self
            .start_native(member, entry, principal, arguments, context)
            .await?;
        if initiated.view.is_done() {
            return Ok(ended(&initiated.view, entry)?.into());
        }
        if declared {
            let created = CreateTaskResult::new(task(&initiated.view));
            return Ok(CallToolResponse::Task(created));
        }
        let waited = Waited {
            id: initiated.view.record.id,
            own: !shared && !initiated.replayed,
        };
        self.wait_for_end(&call, waited).await
    }

    /// Checks a call and starts its task.
    pub(crate) async fn start_native(
        &self,
        member: &Member,
        entry: &Arc<Entry>,
        principal: Option<Principal>,
        arguments: Value,
        context: &RequestContext<RoleServer>,
    ) -> Result<Initiated, NotCalled> {
        member
            .check(&arguments)
            .map_err(Refusal::InvalidArguments)?;
        let Value::Object(arguments) = arguments else {
            return Err(Refusal::Internal.into());
        };
        let (key, max_wait) = controls(entry, &context.meta.0, self.engine.config.max_age)?;
        let call = Initiate {
            entry: Arc::clone(entry),
            principal,
            arguments,
            key,
            max_wait,
            trace: trace_of(context),
        };
        Ok(self.engine.initiate(call).await?)
    }

    /// A call that is made again with answers to what its task asked.
    async fn go_on(
        &self,
        call: &Call<'_>,
        state: &str,
        responses: rmcp::model::InputResponses,
        declared: bool,
    ) -> Result<CallToolResponse, NotCalled> {
        let waited = Waited::from_state(state, &call.digest).ok_or(Refusal::TaskNotFound)?;
        self.take_answers(call.asker(), waited.id, responses)
            .await
            .map_err(NotCalled::Protocol)?;
        if !declared {
            return self.wait_for_end(call, waited).await;
        }
        let view = self
            .engine
            .status(call.asker(), waited.id, Wait::none(), None)
            .await?;
        if view.is_done() {
            return Ok(ended(&view, call.entry)?.into());
        }
        Ok(CallToolResponse::Task(CreateTaskResult::new(task(&view))))
    }
}

/// What a client of an older version is told that did not call a tool as a
/// task which can be called as one only (2025-11-25, tasks, tool-level
/// negotiation).
fn tasks_only(tool: &str) -> ErrorData {
    ErrorData::new(
        ErrorCode::METHOD_NOT_FOUND,
        format!("the tool {tool} requires task augmentation (params.task)"),
        None,
    )
}

/// One `tools/call`.
pub(super) struct Call<'a> {
    pub(super) entry: &'a Arc<Entry>,
    pub(super) principal: Option<Principal>,
    pub(super) context: &'a RequestContext<RoleServer>,
    /// Of tool and arguments.
    pub(super) digest: String,
}

impl Call<'_> {
    pub(super) fn asker(&self) -> Asker<'_> {
        Asker {
            tool: Some(&self.entry.name),
            principal: self.principal.as_ref(),
        }
    }
}

/// The answer to the call of a task that has ended.
pub(super) fn ended(view: &View, entry: &Entry) -> Result<CallToolResult, NotCalled> {
    match ending(view, Some(entry)) {
        Some(Ok(mut result)) => {
            // A program tells a task that failed from a call that was refused.
            let id = Value::String(view.record.id.to_string());
            let meta = result.meta.get_or_insert_default();
            meta.insert(TASK_ID.to_owned(), id);
            Ok(result)
        }
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

/// A refusal as the result of a native call: text alone, for a structure would
/// have to match the schema of results.
pub(crate) fn refused(refusal: &Refusal) -> CallToolResult {
    let mut result = wire::refused(refusal);
    result.structured_content = None;
    result
}
