//! `tools/call` with `task`.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use rmcp::model::{CallToolRequestParams, CustomRequest, CustomResult, ErrorCode};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::json;

use super::plain;
use super::pushed::push;
use super::shape::{Task, related};
use crate::refusal::Refusal;
use crate::server::ToolServer;
use crate::server::listener::Listener;
use crate::server::native::{self, NotCalled};
use crate::server::published::{Published, Role};

/// In `_meta` of an accepted call: what a model may be told at once.
const IMMEDIATE: &str = "io.modelcontextprotocol/model-immediate-response";

/// The parameters of a `tools/call`, which rmcp has not read.
pub(crate) fn call_params(request: &CustomRequest) -> Result<CallToolRequestParams, ErrorData> {
    let params = request.params_as().map_err(|error| {
        ErrorData::invalid_params(
            format!("these are no parameters of tools/call: {error}"),
            None,
        )
    })?;
    params.ok_or_else(|| ErrorData::invalid_params("tools/call needs parameters", None))
}

/// What a tool says that cannot be called as a task.
pub(crate) fn no_task(tool: &str) -> ErrorData {
    ErrorData::new(
        ErrorCode::METHOD_NOT_FOUND,
        format!("the tool {tool} does not support task-augmented execution"),
        None,
    )
}

impl ToolServer {
    /// Accepts a call as a task.
    pub(crate) async fn legacy_call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        if !self.has_legacy_tasks(context) {
            // `task` means nothing then.
            let name = request.name.clone();
            let answer = self.call(request, context).await;
            return match answer {
                Some(answer) => Ok(CustomResult::new(plain(answer?.into()))),
                None => Err(ErrorData::invalid_params(
                    format!("unknown tool: {name}"),
                    None,
                )),
            };
        }
        let Some(Published::Member(member)) = self.families.get(&request.name) else {
            return Err(no_task(&request.name));
        };
        let Role::Native(entry) = &member.role else {
            return Err(no_task(&request.name));
        };
        let started = AssertUnwindSafe(async {
            let principal = self.principal.of(context)?;
            let arguments = request.arguments.unwrap_or_default();
            let started = self
                .start_native(
                    member,
                    entry,
                    principal.clone(),
                    serde_json::Value::Object(arguments),
                    context,
                )
                .await?;
            Ok((principal, started))
        });
        let started = started.catch_unwind().await;
        let (principal, initiated) = started
            .unwrap_or(Err(NotCalled::Refused(Refusal::Internal)))
            .map_err(|refused| match refused {
                NotCalled::Refused(refusal) => {
                    self.count_refusal(Some(entry), &refusal);
                    native::error(refusal)
                }
                NotCalled::Protocol(error) => error,
            })?;
        let view = initiated.view;
        push(
            &self.engine,
            Listener {
                context: context.clone(),
                principal,
                rule: self.principal.clone(),
            },
            &view,
        )
        .await;
        let (key, related) = related(view.record.id);
        Ok(CustomResult::new(json!({
            "task": Task::begun(&view),
            "_meta": {
                key: related,
                IMMEDIATE: format!("{} has started as a task.", entry.name),
            },
        })))
    }
}
