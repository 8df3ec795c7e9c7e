//! `tasks/result`: waits for the end, and asks the client meanwhile what the
//! task asks.

use std::time::Duration;

use rmcp::model::{CustomNotification, RequestMetaObject, ServerResult};
use rmcp::service::{PeerRequestOptions, RequestContext};
use rmcp::{ErrorData, RoleServer};
use serde_json::Value;

use super::plain;
use super::shape::{self, related};
use crate::engine::{Asker, Until, View, Wait};
use crate::refusal::Refusal;
use crate::server::ToolServer;
use crate::server::native::{self, elicit, elicitation_params, ending, fills_forms};
use crate::task::{Question, TaskId};

/// rmcp ends a session of five minutes in which nothing is sent, and with it the
/// answer that is waited for.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
/// How often a client is asked the same that answers what does not fit.
const TRIES: usize = 3;

impl ToolServer {
    /// How a task ended: what its call would have been answered.
    pub(super) async fn legacy_result(
        &self,
        asker: Asker<'_>,
        id: TaskId,
        context: &RequestContext<RoleServer>,
    ) -> Result<Value, ErrorData> {
        let asked = tokio::select! {
            asked = self.until_over(asker, id, context) => asked,
            () = context.ct.cancelled() => Err(Refusal::Abandoned),
        };
        let view = asked.map_err(native::error)?;
        let entry = self.engine.catalog.get(&view.record.tool);
        let ended = ending(&view, entry.map(AsRef::as_ref)).filter(|_| !shape::is_cancelled(&view));
        let result = ended.unwrap_or_else(|| Err(cancelled(&view)))?;
        let mut result = plain(ServerResult::CallToolResult(result));
        let (key, related) = related(id);
        result["_meta"][key] = related;
        Ok(result)
    }

    async fn until_over(
        &self,
        asker: Asker<'_>,
        id: TaskId,
        context: &RequestContext<RoleServer>,
    ) -> Result<View, Refusal> {
        let mut asks = fills_forms(context);
        let mut tries: (String, usize) = Default::default();
        loop {
            let wait = Wait {
                duration: SIGN_OF_LIFE,
                until: if asks { Until::Heard } else { Until::Over },
                since: None,
            };
            let view = self.engine.status(asker, id, wait, None).await?;
            if shape::is_over(&view) {
                return Ok(view);
            }
            let Some(question) = view.record.open_questions().next().filter(|_| asks) else {
                if self.engine.is_draining() {
                    return Err(Refusal::ShuttingDown);
                }
                let status = Some(shape::task_json(&view));
                let status = CustomNotification::new("notifications/tasks/status", status);
                let _ = context.peer.send_notification(status.into()).await;
                // Too many calls may wait.
                tokio::time::sleep(native::PAUSE).await;
                continue;
            };
            if tries.0 != *question.key {
                tries = (question.key.to_string(), 0);
            }
            tries.1 += 1;
            asks = tries.1 <= TRIES && self.put(asker, id, question, context).await?;
        }
    }

    /// Puts a question to the client, until it is answered, be it elsewhere.
    /// Whether it is worth asking the client again.
    async fn put(
        &self,
        asker: Asker<'_>,
        id: TaskId,
        question: &Question,
        context: &RequestContext<RoleServer>,
    ) -> Result<bool, Refusal> {
        let Some(params) = elicitation_params(question) else {
            return Ok(false);
        };
        let (key, related) = related(id);
        let mut meta = RequestMetaObject::new();
        meta.insert(key, related);
        let options = PeerRequestOptions::no_options().with_meta(meta);
        let answer = tokio::select! {
            answer = elicit(&context.peer, params, options) => answer,
            () = self.until_closed(asker, id, &question.key) => return Ok(true),
        };
        let Some(answer) = answer else {
            // Others may answer.
            return Ok(false);
        };
        match self.engine.answer(asker, id, &question.key, &answer).await {
            Ok(_) | Err(Refusal::QuestionClosed(_) | Refusal::InvalidArguments(_)) => Ok(true),
            Err(refusal) => Err(refusal),
        }
    }
}

/// A cancelled task has no result, and the specification says nothing of what
/// stands for it.
fn cancelled(view: &View) -> ErrorData {
    let mut message = "the task was cancelled".to_owned();
    if let Some(reason) = view
        .record
        .cancel
        .as_ref()
        .filter(|reason| !reason.is_empty())
    {
        message.push_str(": ");
        message.push_str(reason);
    }
    ErrorData::internal_error(message, None)
}
