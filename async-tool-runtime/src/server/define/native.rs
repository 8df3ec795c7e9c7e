//! A tool under its own name, for the protocol's own tasks.

use std::sync::Arc;

use rmcp::model::{MetaObject, Tool};
use serde_json::{Value, json};

use super::{arguments, described, hints, object};
use crate::catalog::Entry;
use crate::server::native::{HONOURS_KEYS, is_wrapped};

pub(in crate::server) fn call(entry: &Entry) -> Tool {
    let descriptor = entry.descriptor;
    let mut description = described(entry).trim_end().to_owned();
    if entry.has_plain_tools() {
        // Otherwise a model has no reason to choose one of the two.
        let initiate = descriptor.initiate_name();
        description.push_str(&format!("\n\nWaits for the result; {initiate} does not."));
    }
    let mut tool = Tool::new(descriptor.name.to_owned(), description, arguments(entry));
    tool.title = descriptor.title.map(str::to_owned);
    tool.annotations = hints(entry);
    if let Some(output) = output(entry) {
        tool.output_schema = Some(Arc::new(object(output)));
    }
    let mut meta = MetaObject::new();
    meta.insert(HONOURS_KEYS.to_owned(), Value::Bool(true));
    tool.meta = Some(meta);
    tool
}

/// What a structured result looks like; none for a tool without a result.
fn output(entry: &Entry) -> Option<Value> {
    let schemas = &entry.schemas;
    if schemas.output.get("type").and_then(Value::as_str) == Some("null") {
        return None;
    }
    let mut output = if is_wrapped(&schemas.output) {
        json!({
            "type": "object",
            "properties": {"result": schemas.output},
            "required": ["result"],
        })
    } else {
        schemas.output.clone()
    };
    if !schemas.output_defs.is_empty() {
        output["$defs"] = Value::Object(schemas.output_defs.clone());
    }
    Some(output)
}
