//! `task_list`: one user's tasks, the newest first.

use std::sync::Arc;

use rmcp::model::{CallToolResult, Tool, ToolAnnotations};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::define::{object, tool};
use super::request::PrincipalRule;
use super::wire::{self, Snapshot};
use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::refusal::{Problem, Refusal};
use crate::schema::Checker;
use crate::store::{Cursor, Filter, Owner, Status, Timestamp};
use crate::task::Principal;

/// The tool's name.
pub(crate) const NAME: &str = "task_list";
/// Tasks of a page, unless said otherwise.
const PAGE: usize = 20;
const MAX_PAGE: usize = 100;
const STATUSES: [Status; 6] = [
    Status::Queued,
    Status::Working,
    Status::InputRequired,
    Status::Completed,
    Status::Failed,
    Status::Cancelled,
];

/// Published where it is known whose tasks to list: the server establishes
/// principals, or says that it has one user.
pub(crate) struct TaskList {
    tool: Tool,
    input: Checker,
}

impl TaskList {
    pub(crate) fn of(
        catalog: &Catalog,
        principals: &PrincipalRule,
        single_user: bool,
    ) -> Option<Self> {
        if principals.find.is_none() && !single_user {
            return None;
        }
        let tool = definition(catalog);
        let schema = Value::Object(tool.input_schema.as_ref().clone());
        // Ours, and valid: a test calls it.
        let input = Checker::new(schema).ok()?;
        Some(Self { tool, input })
    }

    pub(crate) fn tool(&self) -> &Tool {
        &self.tool
    }

    pub(crate) async fn call(
        &self,
        engine: &Engine,
        principal: Option<Principal>,
        arguments: Map<String, Value>,
    ) -> Result<CallToolResult, Refusal> {
        let arguments = Value::Object(arguments);
        self.input
            .check(&arguments)
            .map_err(Refusal::InvalidArguments)?;
        let owner = match principal {
            Some(principal) => Owner::Principal(principal),
            None if engine.config.single_user => Owner::Nobody,
            // Nobody's tasks are not everybody's.
            None => return Err(Refusal::Unauthenticated),
        };
        let text = |name: &str| arguments.get(name).and_then(Value::as_str);
        let filter = Filter {
            tool: text("tool").map(Arc::from),
            status: text("status")
                .and_then(|word| STATUSES.into_iter().find(|status| status.as_str() == word)),
            ..Filter::of(owner)
        };
        let after = text("cursor").map(parse_cursor).transpose()?;
        let limit = arguments
            .get("limit")
            .and_then(Value::as_u64)
            .map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(MAX_PAGE));
        let (views, next) = engine.list(filter, after, limit).await?;
        let page = Page {
            tasks: views
                .iter()
                .map(|view| Snapshot::of(view, false).listed(view))
                .collect(),
            next_cursor: next.map(format_cursor),
        };
        Ok(wire::to_result(&page))
    }
}

#[derive(Debug, Serialize)]
struct Page<'a> {
    tasks: Vec<Snapshot<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

fn definition(catalog: &Catalog) -> Tool {
    let tools: Vec<&str> = catalog.iter().map(|entry| &*entry.name).collect();
    let statuses = STATUSES.map(Status::as_str);
    let input = object(json!({
        "type": "object",
        "properties": {
            "status": {"enum": statuses, "description": "Only tasks in this state."},
            "tool": {"enum": tools, "description": "Only tasks of this tool."},
            "limit": {
                "type": "integer", "minimum": 1, "maximum": MAX_PAGE,
                "description": format!("Tasks of a page; {PAGE} if left out."),
            },
            "cursor": {"type": "string", "description": "next_cursor of the page before."},
        },
        "additionalProperties": false,
    }));
    let output = json!({
        "properties": {
            "tasks": {
                "type": "array", "items": {"type": "object"},
                "description": "As the status tools answer, without results.",
            },
            "next_cursor": {"type": "string", "description": "Absent on the last page."},
            "error": {"type": "object", "description": "code, message, retryable."},
        },
    });
    tool(
        NAME.to_owned(),
        "Lists your tasks, the newest first.".to_owned(),
        input,
        output,
        Map::new(),
    )
    .with_annotations(ToolAnnotations::new().read_only(true).idempotent(true))
}

pub(super) fn format_cursor(cursor: Cursor) -> String {
    format!("{}-{}", cursor.created_at.0, cursor.id)
}

pub(super) fn parse_cursor(text: &str) -> Result<Cursor, Refusal> {
    text.split_once('-')
        .and_then(|(moment, id)| {
            let created_at = Timestamp(moment.parse().ok()?);
            Some(Cursor::new(created_at, id.parse().ok()?))
        })
        .ok_or_else(|| {
            Refusal::InvalidArguments(vec![Problem {
                path: "/cursor".to_owned(),
                message: "must be the next_cursor of an earlier page".to_owned(),
            }])
        })
}
