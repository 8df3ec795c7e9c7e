//! Tools as the protocol's own tasks: extension `io.modelcontextprotocol/tasks`
//! of protocol 2026-07-28 (SEP-2663).
//!
//! `tools/call` is in [`call`], that of clients without tasks in [`wait`], and
//! what a task looks like in [`shape`].

mod call;
mod shape;
mod wait;

use rmcp::RoleServer;
use rmcp::model::{
    CancelTaskParams, ClientCapabilities, ErrorData, GetTaskParams, GetTaskResult, ProtocolVersion,
    ServerCapabilities, TASKS_EXTENSION_ID, UpdateTaskParams,
};
use rmcp::service::RequestContext;
use serde_json::Value;

use super::ToolServer;
use crate::engine::{Asker, Until, Wait};
use crate::input::Answer;
use crate::progress::shortened;
use crate::refusal::Refusal;
use crate::task::TaskId;
pub(crate) use call::{NotCalled, refused};
pub(crate) use shape::{detailed, elicitation_params, ending, is_wrapped, message, millis};
pub(crate) use wait::{PAUSE, elicit, fills_forms};

/// In `_meta` of a native tool in `tools/list`: a call may give a key.
pub(crate) const HONOURS_KEYS: &str = "async-tool/idempotency";
/// In `_meta` of a call: what `idempotency_key` is to the initiate tool.
pub(crate) const KEY: &str = "async-tool/idempotency_key";
/// In `_meta` of a result that came without a task: the task that it is of.
pub(crate) const TASK_ID: &str = "async-tool/task_id";
/// In `_meta` of `tasks/cancel`: what `reason` is to the cancel tool.
pub(crate) const REASON: &str = "async-tool/reason";
/// Longest reason, in characters, as that of the cancel tool.
const MAX_REASON: usize = 500;
/// In `_meta` of a call: what `max_wait_seconds` is to the initiate tool.
pub(crate) const MAX_WAIT: &str = "async-tool/max_wait_seconds";

/// Whether a request may be answered with a task: under this protocol, and if
/// this very request declares the extension.
///
/// rmcp takes what an older client said at `initialize` for a declaration,
/// under a version that knows no such extension; so the version is asked too.
pub(crate) fn speaks_tasks(context: &RequestContext<RoleServer>) -> bool {
    is_modern(context)
        && context
            .client_capabilities()
            .is_some_and(|capabilities| capabilities.supports_tasks())
}

pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// Takes the extension out of what a server says of itself to a client under
/// whose version there is none.
pub(crate) fn withhold(capabilities: &mut ServerCapabilities) {
    if let Some(extensions) = &mut capabilities.extensions {
        extensions.remove(TASKS_EXTENSION_ID);
        if extensions.is_empty() {
            capabilities.extensions = None;
        }
    }
}

/// What those are told who do not declare the extension and would have to.
pub(crate) fn undeclared() -> ErrorData {
    ErrorData::missing_required_client_capability(
        ClientCapabilities::builder().enable_tasks().build(),
    )
}

impl ToolServer {
    /// `tasks/get`.
    pub(crate) async fn get_task(
        &self,
        request: &GetTaskParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let id = task_id(&request.task_id)?;
        let principal = self.principal.of(context).map_err(error)?;
        let asker = Asker {
            tool: None,
            principal: principal.as_ref(),
        };
        let view = self.engine.poll(asker, id).await.map_err(error)?;
        let entry = self.engine.catalog.get(&view.record.tool);
        Ok(GetTaskResult::new(detailed(
            &view,
            entry.map(AsRef::as_ref),
        )))
    }

    /// `tasks/update`. Answers to questions that are not open are ignored, as
    /// the specification advises; one that does not fit its question is an
    /// error, and those before it in the request have been taken.
    pub(crate) async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let id = task_id(&request.task_id)?;
        let principal = self.principal.of(context).map_err(error)?;
        let asker = Asker {
            tool: None,
            principal: principal.as_ref(),
        };
        // Also of a task whose answers are all ignored it must be known whether
        // it exists.
        self.engine
            .status(asker, id, Wait::none(), None)
            .await
            .map_err(error)?;
        self.take_answers(asker, id, request.input_responses).await
    }

    async fn take_answers(
        &self,
        asker: Asker<'_>,
        id: TaskId,
        responses: rmcp::model::InputResponses,
    ) -> Result<(), ErrorData> {
        for (key, response) in responses {
            let Some(answer) = Answer::from_value(response) else {
                if self.is_open(asker, id, &key).await? {
                    return Err(ErrorData::invalid_params(
                        format!(
                            "inputResponses/{key}: must be the result of an elicitation, with \
                             an action of accept, decline or cancel, and content to accept"
                        ),
                        None,
                    ));
                }
                continue;
            };
            match self.engine.answer(asker, id, &key, &answer).await {
                Ok(_) | Err(Refusal::QuestionClosed(_)) => {}
                Err(refusal) => return Err(error(refusal)),
            }
        }
        Ok(())
    }

    /// Whether a task asks a question, and has no answer yet.
    async fn is_open(&self, asker: Asker<'_>, id: TaskId, key: &str) -> Result<bool, ErrorData> {
        let status = self.engine.status(asker, id, Wait::none(), None).await;
        let view = status.map_err(error)?;
        let is_open = view.record.open_questions().any(|open| *open.key == *key);
        Ok(is_open)
    }

    /// `tasks/cancel`: asks the task to stop, and waits for nothing.
    pub(crate) async fn cancel_task(
        &self,
        request: &CancelTaskParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let id = task_id(&request.task_id)?;
        let principal = self.principal.of(context).map_err(error)?;
        let asker = Asker {
            tool: None,
            principal: principal.as_ref(),
        };
        let reason = context.meta.0.get(REASON).and_then(Value::as_str);
        let reason = reason.unwrap_or_default();
        self.engine
            .request_cancel(asker, id, shortened(reason.to_owned(), MAX_REASON).into())
            .await
            .map_err(error)?;
        Ok(())
    }
}

impl Wait {
    /// Not at all.
    pub(crate) fn none() -> Self {
        Self {
            duration: std::time::Duration::ZERO,
            until: Until::Done,
            since: None,
        }
    }
}

/// A text that is no id names no task.
pub(crate) fn task_id(text: &str) -> Result<TaskId, ErrorData> {
    text.parse().map_err(|_| error(Refusal::TaskNotFound))
}

const NOT_FOUND: &str = "no task has this taskId, or its retention is over";

/// Whether [`error`] says that there is no such task.
pub(crate) fn is_not_found(error: &ErrorData) -> bool {
    error.message == NOT_FOUND
}

/// A refusal as an error of the protocol, which methods about tasks have for
/// it.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn error(refusal: Refusal) -> ErrorData {
    let mut message = refusal.message();
    match refusal {
        Refusal::TaskNotFound => ErrorData::invalid_params(NOT_FOUND, None),
        Refusal::InvalidArguments(_) | Refusal::ArgumentsTooLarge { .. } => {
            ErrorData::invalid_params(message, refusal.details())
        }
        Refusal::Unauthenticated => ErrorData::invalid_request(message, None),
        _ => {
            if let Some(seconds) = refusal.retry_after_seconds() {
                message.push_str(&format!(" ({seconds} s)"));
            }
            ErrorData::internal_error(message, None)
        }
    }
}
