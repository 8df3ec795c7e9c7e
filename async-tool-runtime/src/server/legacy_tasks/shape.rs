//! A task in the shape of this version.

use serde::Serialize;
use serde_json::{Value, json};

use super::RELATED_TASK;
use crate::engine::View;
use crate::server::native::{message, millis};
use crate::store::Status;
use crate::task::TaskId;

/// `Task` (schema 2025-11-25).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Task {
    task_id: String,
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<String>,
    created_at: String,
    last_updated_at: String,
    ttl: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll_interval: Option<u64>,
}

impl Task {
    pub(super) fn of(view: &View) -> Self {
        let record = &view.record;
        let over = is_over(view);
        let status_message = match &record.cancel {
            Some(reason) => Some(reason.to_string()).filter(|reason| !reason.is_empty()),
            None => message(view),
        };
        Self {
            task_id: record.id.to_string(),
            status: status(view),
            status_message,
            created_at: record.created_at.to_string(),
            last_updated_at: record.updated_at().to_string(),
            ttl: millis(view.ttl()),
            poll_interval: view.poll_after().filter(|_| !over).map(millis),
        }
    }

    /// The task as it begins, which is always `working`.
    pub(super) fn begun(view: &View) -> Self {
        Self {
            status: "working",
            ..Self::of(view)
        }
    }
}

pub(super) fn task_json(view: &View) -> Value {
    // Of strings and numbers; cannot fail.
    serde_json::to_value(Task::of(view)).unwrap_or_default()
}

pub(super) fn is_cancelled(view: &View) -> bool {
    view.record.cancel.is_some() || view.record.status == Status::Cancelled
}

/// Whether it cannot change any more, to a client of this version.
pub(super) fn is_over(view: &View) -> bool {
    view.is_done() || is_cancelled(view)
}

pub(super) fn status(view: &View) -> &'static str {
    match view.record.status {
        _ if is_cancelled(view) => "cancelled",
        Status::Queued | Status::Working => "working",
        Status::InputRequired => "input_required",
        Status::Completed => "completed",
        Status::Failed => "failed",
        Status::Cancelled => "cancelled",
    }
}

/// The value of [`RELATED_TASK`], under its key.
pub(super) fn related(id: TaskId) -> (String, Value) {
    (RELATED_TASK.to_owned(), json!({ "taskId": id }))
}
