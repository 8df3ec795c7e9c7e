//! The family of a tool: `NAME_initiate`, `NAME_status`, `NAME_cancel`, and
//! `NAME_respond` for one that asks.

use std::time::Duration;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::{arguments, described, done, error, hints, integer, object, text, tool};
use crate::catalog::Entry;
use crate::engine::Config;
use crate::store::LogLine;

pub(in crate::server) fn initiate(entry: &Entry, config: &Config) -> Tool {
    let descriptor = entry.descriptor;
    let retention = descriptor.retention.unwrap_or(config.retention);
    let mut description = described(entry);
    description.push_str(&format!(
        "Starts a task. Call {} with its task_id and wait_seconds until done is true; {} stops it. ",
        entry.status_name(),
        entry.cancel_name(),
    ));
    if descriptor.interactive {
        description.push_str(&format!(
            "It may ask: answer with {}. ",
            entry.respond_name()
        ));
    }
    description.push_str(&format!(
        "Readable for {} after its end.",
        humantime::format_duration(Duration::from_secs(retention.as_secs().max(1))),
    ));

    let mut input = arguments(entry);
    let max_wait = descriptor.max_wait.unwrap_or(config.max_age);
    let properties = input
        .entry("properties")
        .or_insert_with(|| json!({}))
        .as_object_mut();
    if let Some(properties) = properties {
        properties.insert(
            "idempotency_key".into(),
            json!({
                "type": "string", "pattern": "^[!-~]{1,255}$",
                "description": "Same key: same task.",
            }),
        );
        properties.insert(
            "max_wait_seconds".into(),
            json!({
                "type": "number", "exclusiveMinimum": 0, "maximum": max_wait.as_secs_f64(),
                "description": "Fail the task if it has not finished this many seconds from now; \
                    does not make this call wait; normally leave out.",
            }),
        );
        if config.takes_callbacks() {
            properties.insert(
                "callback_url".into(),
                json!({
                    "type": "string", "format": "uri",
                    "description": "Is told of the end by POST.",
                }),
            );
        }
    }

    let mut output = json!({
        "task_id": text("The task."),
        "next": text("What to do."),
        "error": error(),
    });
    let mut defs = Map::new();
    if descriptor.inline.is_some() {
        output["result"] = entry.schemas.output.clone();
        defs.clone_from(&entry.schemas.output_defs);
    }
    let mut tool = tool(
        descriptor.initiate_name(),
        description,
        input,
        json!({ "properties": output }),
        defs,
    );
    tool.title = descriptor.title.map(str::to_owned);
    tool.annotations = hints(entry);
    tool
}

pub(in crate::server) fn status(entry: &Entry, config: &Config) -> Tool {
    let descriptor = entry.descriptor;
    let output = status_output(&entry.schemas.output, descriptor.interactive);
    tool(
        descriptor.status_name(),
        format!("Reads a task of {}.", descriptor.initiate_name()),
        status_input(config),
        output,
        entry.schemas.output_defs.clone(),
    )
    .with_annotations(status_hints())
}

pub(in crate::server) fn cancel(entry: &Entry) -> Tool {
    let descriptor = entry.descriptor;
    tool(
        descriptor.cancel_name(),
        format!("Stops a task of {}.", descriptor.initiate_name()),
        cancel_input(),
        json!({ "properties": {"done": done()} }),
        Map::new(),
    )
    .with_annotations(cancel_hints())
}

pub(in crate::server) fn respond(entry: &Entry) -> Tool {
    let descriptor = entry.descriptor;
    tool(
        descriptor.respond_name(),
        format!(
            "Answers a question of a task of {}.",
            descriptor.initiate_name()
        ),
        respond_input(),
        json!({ "properties": {"done": done()} }),
        Map::new(),
    )
}

pub(super) fn status_input(config: &Config) -> Map<String, Value> {
    let cap = config.wait_cap.as_secs_f64();
    object(json!({
        "type": "object",
        "properties": {
            "task_id": text("The task."),
            "wait_seconds": {
                "type": "number", "minimum": 0,
                "description": format!("Wait for the end, at most {cap}. Saves turns."),
            },
            "until": {"enum": ["done", "step"], "description": "Or a new step."},
            "since": {
                "type": "integer", "minimum": 0,
                "description": "Revision seen.",
            },
            "include_result": {"type": "boolean"},
            "log_lines": {"type": "integer", "maximum": LogLine::KEPT},
        },
        "required": ["task_id"],
        "additionalProperties": false,
    }))
}

pub(super) fn status_output(result: &Value, interactive: bool) -> Value {
    let mut properties = json!({
        "task_id": text("The task."),
        "status": {
            "enum": ["queued", "working", "input_required", "completed", "failed", "cancelled"],
            "description": "Its state.",
        },
        "done": done(),
        "revision": integer("Grows with status and step."),
        "message": text("What goes on."),
        "progress": {
            "type": "object",
            "description": "fraction of all; current of total in the step.",
        },
        "eta_seconds": integer("Time left."),
        "poll_after_seconds": integer("Ask again then."),
        "attempt": integer("2 if retried."),
        "cancel_requested": {"type": "boolean", "description": "Stopping."},
        "log": {"type": "array"},
        "result": result,
        "error": error(),
    });
    if interactive {
        properties["questions"] = json!({
            "type": "array",
            "description": "key, message, and the schema of an answer's content.",
        });
    }
    json!({
        "properties": properties,
        // created_at, started_at, finished_at, expires_at
        "patternProperties": {"_at$": text("RFC 3339.")},
    })
}

pub(super) fn status_hints() -> ToolAnnotations {
    ToolAnnotations::new().read_only(true).idempotent(true)
}

pub(super) fn cancel_input() -> Map<String, Value> {
    object(json!({
        "type": "object",
        "properties": {
            "task_id": text("The task."),
            "reason": {"type": "string", "maxLength": 500},
        },
        "required": ["task_id"],
        "additionalProperties": false,
    }))
}

pub(super) fn cancel_hints() -> ToolAnnotations {
    ToolAnnotations::new().idempotent(true).destructive(true)
}

pub(super) fn respond_input() -> Map<String, Value> {
    object(json!({
        "type": "object",
        "properties": {
            "task_id": text("The task."),
            "key": text("The question's."),
            "action": {"enum": ["accept", "decline", "cancel"]},
            "content": {
                "type": "object",
                "description": "With accept: as the question's schema says.",
            },
        },
        "required": ["task_id", "key", "action"],
        "additionalProperties": false,
    }))
}
