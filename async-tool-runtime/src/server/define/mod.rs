//! Published tools as MCP lists them: names, descriptions, schemas.
//!
//! A model reads all of this before it does anything, so every word counts
//! (budget: 3 KiB a tool).

pub(super) mod family;
pub(super) mod native;
pub(super) mod shared;

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::catalog::Entry;
use crate::descriptor::Annotations;

/// Puts a tool together. No property of the output is required: refusals have
/// an `error` alone, and clients check those against the schema as well.
pub(super) fn tool(
    name: String,
    description: String,
    input: Map<String, Value>,
    output: Value,
    defs: Map<String, Value>,
) -> Tool {
    let mut output = object(output);
    output.insert("type".into(), "object".into());
    if !defs.is_empty() {
        output.insert("$defs".into(), Value::Object(defs));
    }
    Tool::new(name, description, input).with_raw_output_schema(Arc::new(output))
}

pub(super) fn done() -> Value {
    json!({"type": "boolean", "description": "Ended."})
}

pub(super) fn error() -> Value {
    json!({"type": "object", "description": "code, message, retryable."})
}

pub(super) fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

pub(super) fn integer(description: &str) -> Value {
    json!({"type": "integer", "description": description})
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The arguments of a tool, without what repeats its Rust names and tells a
/// model nothing.
fn arguments(entry: &Entry) -> Map<String, Value> {
    let mut input = entry.schemas.input.clone();
    for noise in ["$schema", "title", "description"] {
        input.remove(noise);
    }
    input
        .entry("additionalProperties")
        .or_insert(Value::Bool(false));
    input
}

/// What the author hints at, for the tool that starts the work.
fn hints(entry: &Entry) -> Option<ToolAnnotations> {
    let mut hints = entry.descriptor.annotations;
    if entry.descriptor.dedupe.is_some() {
        hints.idempotent = hints.idempotent.or(Some(true));
    }
    (hints != Annotations::new()).then(|| {
        ToolAnnotations::from_raw(
            None,
            hints.read_only,
            hints.destructive,
            hints.idempotent,
            hints.open_world,
        )
    })
}

/// What the author says of a tool, and a warning where calls share tasks.
fn described(entry: &Entry) -> String {
    let descriptor = entry.descriptor;
    let mut description = String::new();
    if !descriptor.description.is_empty() {
        description.push_str(descriptor.description);
        description.push_str("\n\n");
    }
    if descriptor.dedupe.is_some() {
        description
            .push_str("Equal calls share one task while it runs; stopping it stops it for all. ");
    }
    description
}
