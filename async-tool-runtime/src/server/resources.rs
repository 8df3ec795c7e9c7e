//! Tasks as resources: `resource://tasks/{task_id}` is a task's snapshot.

use rmcp::model::{
    ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams, ReadResourceResult,
    Resource, ResourceContents, ResourceTemplate,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::json;

use super::ToolServer;
use super::list::{format_cursor, parse_cursor};
use super::native;
use super::wire::Snapshot;
use crate::engine::{Asker, View, Wait};
use crate::refusal::Refusal;
use crate::store::{Filter, Owner};
use crate::task::TaskId;

/// What the URIs of all tasks begin with.
const PREFIX: &str = "resource://tasks/";
const JSON: &str = "application/json";
/// Resources of a page.
const PAGE: usize = 50;

/// Whether a URI is for us to answer about.
pub(crate) fn is_own(uri: &str) -> bool {
    uri.starts_with(PREFIX)
}

/// The task that a URI names.
pub(crate) fn task_of(uri: &str) -> Option<TaskId> {
    uri.strip_prefix(PREFIX)?.parse().ok()
}

pub(crate) fn template() -> ResourceTemplate {
    ResourceTemplate::new(format!("{PREFIX}{{task_id}}"), "task")
        .with_description("A task: status, progress, result. Subscribe to hear of changes.")
        .with_mime_type(JSON)
}

pub(crate) fn templates() -> ListResourceTemplatesResult {
    ListResourceTemplatesResult::with_all_items(vec![template()])
}

impl ToolServer {
    /// The snapshot of a task, as its status tool answers it.
    pub(crate) async fn read_resource(
        &self,
        uri: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<ReadResourceResult, ErrorData> {
        let view = self
            .resource(uri, context)
            .await
            .map_err(|refusal| error(refusal, uri))?;
        self.count_read(&view);
        // Strings, numbers and JSON: it cannot fail.
        let entry = self.engine.catalog.get(&view.record.tool);
        let snapshot = Snapshot::of(&view, true).asking(&view, entry.map(AsRef::as_ref));
        let text = serde_json::to_string(&snapshot).unwrap_or_default();
        let contents = ResourceContents::text(text, uri).with_mime_type(JSON);
        Ok(ReadResourceResult::new(vec![contents]))
    }

    async fn resource(
        &self,
        uri: &str,
        context: &RequestContext<RoleServer>,
    ) -> Result<View, Refusal> {
        let principal = self.principal.of(context)?;
        let id = task_of(uri).ok_or(Refusal::TaskNotFound)?;
        let asker = Asker {
            tool: None,
            principal: principal.as_ref(),
        };
        self.engine.status(asker, id, Wait::none(), None).await
    }

    /// A page of the caller's tasks, the newest first. It is empty where it is
    /// not known whose tasks to list.
    pub(crate) async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        context: &RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let cursor = page.and_then(|page| page.cursor);
        self.resources(cursor.as_deref(), context)
            .await
            .map_err(native::error)
    }

    async fn resources(
        &self,
        cursor: Option<&str>,
        context: &RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, Refusal> {
        let principal = self.principal.of(context)?;
        let after = cursor.map(parse_cursor).transpose()?;
        let owner = match principal {
            Some(principal) => Owner::Principal(principal),
            None if self.engine.config.single_user => Owner::Nobody,
            None => return Ok(ListResourcesResult::default()),
        };
        let (views, next) = self.engine.list(Filter::of(owner), after, PAGE).await?;
        let mut page = ListResourcesResult::with_all_items(views.iter().map(listed).collect());
        page.next_cursor = next.map(format_cursor);
        Ok(page)
    }
}

pub(crate) fn error(refusal: Refusal, uri: &str) -> ErrorData {
    match refusal {
        // rmcp turns the code into that of the version spoken.
        Refusal::TaskNotFound => ErrorData::resource_not_found(
            "no task has this URI, or its retention is over",
            Some(json!({ "uri": uri })),
        ),
        refusal => native::error(refusal),
    }
}

fn listed(view: &View) -> Resource {
    let record = &view.record;
    Resource::new(format!("{PREFIX}{}", record.id), record.id.to_string())
        .with_title(format!("{}: {}", record.tool, record.status))
        .with_mime_type(JSON)
}
