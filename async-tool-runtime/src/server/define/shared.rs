//! What all tools of the shared surface have in common: `task_status`,
//! `task_cancel`, `task_respond`.

use rmcp::model::Tool;
use serde_json::{Map, json};

use super::family::{
    cancel_hints, cancel_input, respond_input, status_hints, status_input, status_output,
};
use super::{done, tool};
use crate::engine::Config;

pub(crate) const STATUS: &str = "task_status";
pub(crate) const CANCEL: &str = "task_cancel";
pub(crate) const RESPOND: &str = "task_respond";

pub(in crate::server) fn status(config: &Config) -> Tool {
    // The result is that of whichever tool was called.
    let output = status_output(&json!({}), true);
    tool(
        STATUS.to_owned(),
        "Reads a task.".to_owned(),
        status_input(config),
        output,
        Map::new(),
    )
    .with_annotations(status_hints())
}

pub(in crate::server) fn cancel() -> Tool {
    tool(
        CANCEL.to_owned(),
        "Stops a task.".to_owned(),
        cancel_input(),
        json!({ "properties": {"done": done()} }),
        Map::new(),
    )
    .with_annotations(cancel_hints())
}

pub(in crate::server) fn respond() -> Tool {
    tool(
        RESPOND.to_owned(),
        "Answers a question of a task.".to_owned(),
        respond_input(),
        json!({ "properties": {"done": done()} }),
        Map::new(),
    )
}
