//! The core tasks of protocol 2025-11-25 (SEP-1686): a layer over the same
//! records, that knows nothing of the extension that came after it.
//!
//! rmcp does not know these methods; they come as custom requests, with the
//! help of [`shim`](super::shim). Where the version spoken is another one, they
//! do not exist.
//!
//! Two things mean something else here than in the records:
//!
//! - A task is `failed` where its tool failed, whether the result says so
//!   (`isError`) or the protocol (2025-11-25, tasks, "status").
//! - A task is `cancelled` from the moment at which a request to cancel is
//!   recorded, and stays so: "MUST be cancelled before responding and MUST
//!   remain cancelled" even where its work goes on. The record remembers the
//!   request whatever becomes of the work, so every replica and every later
//!   read says the same; only what is read in other ways tells how the work
//!   ended.

mod call;
mod outcome;
mod pushed;
mod shape;

pub(crate) use call::{call_params, no_task};
use rmcp::model::{
    CustomRequest, CustomResult, ErrorCode, JsonObject, ListToolsResult, ProtocolVersion,
    ServerCapabilities, ServerResult,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde::Deserialize;
use serde_json::{Value, json};

use self::shape::{Task, task_json};
use super::list::{format_cursor, parse_cursor};
use super::published::{Published, Role};
use super::shim::{CAPABILITY, LEGACY, UNDECLARED_LISTEN};
use super::{ToolServer, native};
use crate::descriptor::Undeclared;
use crate::engine::{Asker, View, Wait};
use crate::store::{Filter, Owner};
use crate::task::{Principal, TaskId};

/// Tasks of a page.
const PAGE: usize = 50;
/// In `_meta` of whatever belongs to a task and does not name it otherwise.
const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// A request that rmcp does not know, or not enough of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Custom {
    UndeclaredListen,
    ListTools,
    CallTool,
    Task(Method),
}

/// A request about tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Result,
    List,
    Cancel,
}

impl Custom {
    /// What a custom request is for, with or without the shim's prefix.
    pub(crate) fn of(method: &str) -> Option<Self> {
        Some(match called(method) {
            UNDECLARED_LISTEN => Self::UndeclaredListen,
            "tools/list" => Self::ListTools,
            "tools/call" => Self::CallTool,
            "tasks/get" => Self::Task(Method::Get),
            "tasks/result" => Self::Task(Method::Result),
            "tasks/list" => Self::Task(Method::List),
            "tasks/cancel" => Self::Task(Method::Cancel),
            _ => return None,
        })
    }
}

/// The method that a client called.
pub(crate) fn called(method: &str) -> &str {
    method.strip_prefix(LEGACY).unwrap_or(method)
}

/// Whether a request is made under this version.
pub(crate) fn is_spoken(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version() == Some(ProtocolVersion::V_2025_11_25)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneTask {
    task_id: String,
}

impl ToolServer {
    /// Whether these tasks exist in a session or request.
    pub(crate) fn has_legacy_tasks(&self, context: &RequestContext<RoleServer>) -> bool {
        self.families.has_native() && is_spoken(context)
    }

    /// Adds the capability to what is answered to `initialize`; the shim puts
    /// it where it belongs.
    pub(crate) fn add_legacy_capability(
        &self,
        version: &ProtocolVersion,
        capabilities: &mut ServerCapabilities,
    ) {
        if !self.families.has_native() || *version != ProtocolVersion::V_2025_11_25 {
            return;
        }
        let mut tasks = JsonObject::new();
        if self.families.has_list() {
            tasks.insert("list".to_owned(), json!({}));
        }
        tasks.insert("cancel".to_owned(), json!({}));
        tasks.insert("requests".to_owned(), json!({"tools": {"call": {}}}));
        let experimental = capabilities.experimental.get_or_insert_default();
        experimental.insert(CAPABILITY.to_owned(), tasks);
    }

    /// A list of tools as this version has it: those that can be called as
    /// tasks say so.
    pub(crate) fn legacy_tools(
        &self,
        page: ListToolsResult,
        context: &RequestContext<RoleServer>,
    ) -> CustomResult {
        let mut listed = plain(ServerResult::ListToolsResult(page));
        if self.has_legacy_tasks(context) {
            let tools = listed["tools"].as_array_mut();
            for tool in tools.into_iter().flatten() {
                if let Some(support) = tool["name"].as_str().and_then(|name| self.support(name)) {
                    tool["execution"] = json!({ "taskSupport": support });
                }
            }
        }
        CustomResult::new(listed)
    }

    fn support(&self, name: &str) -> Option<&'static str> {
        match self.families.get(name)? {
            Published::Member(member) => match &member.role {
                Role::Native(entry) => Some(match entry.descriptor.undeclared {
                    Undeclared::Reject => "required",
                    _ => "optional",
                }),
                _ => None,
            },
            Published::List(_) => None,
        }
    }

    /// Answers a request about tasks.
    pub(crate) async fn legacy_task(
        &self,
        method: Method,
        request: &CustomRequest,
        context: &RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        if !self.has_legacy_tasks(context) {
            return Err(no_method(&request.method));
        }
        let principal = self.principal.of(context).map_err(native::error)?;
        if method == Method::List {
            let listed = self.legacy_list(principal, request).await?;
            return Ok(CustomResult::new(listed));
        }
        let params = request.params_as::<OneTask>().ok().flatten();
        let id = params
            .ok_or_else(|| ErrorData::invalid_params("params must have a taskId", None))
            .and_then(|params| native::task_id(&params.task_id))?;
        let asker = Asker {
            tool: None,
            principal: principal.as_ref(),
        };
        let answer = match method {
            Method::Result => self.legacy_result(asker, id, context).await?,
            Method::Cancel => task_json(&self.legacy_cancel(asker, id).await?),
            _ => {
                let view = self.engine.poll(asker, id).await.map_err(native::error)?;
                task_json(&view)
            }
        };
        Ok(CustomResult::new(answer))
    }

    async fn now(&self, asker: Asker<'_>, id: TaskId) -> Result<View, ErrorData> {
        let read = self.engine.status(asker, id, Wait::none(), None);
        read.await.map_err(native::error)
    }

    async fn legacy_list(
        &self,
        principal: Option<Principal>,
        request: &CustomRequest,
    ) -> Result<Value, ErrorData> {
        let owner = match principal {
            _ if !self.families.has_list() => return Err(no_method(&request.method)),
            Some(principal) => Owner::Principal(principal),
            None if self.engine.config.single_user => Owner::Nobody,
            None => return Ok(json!({ "tasks": [] })),
        };
        let cursor = request
            .params
            .as_ref()
            .and_then(|params| params.get("cursor"));
        let after = match cursor {
            None => None,
            Some(cursor) => {
                let cursor = cursor.as_str().unwrap_or_default();
                Some(parse_cursor(cursor).map_err(native::error)?)
            }
        };
        let listed = self.engine.list(Filter::of(owner), after, PAGE).await;
        let (views, next) = listed.map_err(|error| native::error(error.into()))?;
        let tasks: Vec<Task> = views.iter().map(Task::of).collect();
        let mut page = json!({ "tasks": tasks });
        if let Some(next) = next {
            page["nextCursor"] = format_cursor(next).into();
        }
        Ok(page)
    }

    async fn legacy_cancel(&self, asker: Asker<'_>, id: TaskId) -> Result<View, ErrorData> {
        let ended = |view: &View| {
            let status = shape::status(view);
            ErrorData::invalid_params(
                format!("Cannot cancel task: already in terminal status '{status}'"),
                None,
            )
        };
        let before = self.now(asker, id).await?;
        if shape::is_over(&before) {
            return Err(ended(&before));
        }
        let asked = self.engine.request_cancel(asker, id, "".into());
        asked.await.map_err(native::error)?;
        let view = self.now(asker, id).await?;
        if shape::is_cancelled(&view) {
            Ok(view)
        } else {
            // It ended in between.
            Err(ended(&view))
        }
    }
}

pub(crate) fn no_method(method: &str) -> ErrorData {
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, called(method).to_owned(), None)
}

/// A result as older versions have it, which rmcp does not see to in custom
/// ones.
pub(crate) fn plain(mut result: ServerResult) -> Value {
    result.strip_result_type_for_legacy_peer();
    // Of what came from JSON or goes there; cannot fail.
    serde_json::to_value(&result).unwrap_or_default()
}
