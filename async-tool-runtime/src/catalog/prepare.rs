//! Checks a tool, and computes of it what is computed once.

use std::sync::Arc;

use serde_json::Value;

use super::Entry;
use crate::descriptor::Surfaces;
use crate::schema::{Checker, wide_integers};
use crate::server::RESERVED;
use crate::tool::SharedTool;

/// What is computed of a tool once, or everything that is wrong with it.
pub(crate) fn prepare(tool: &SharedTool, surfaces: Surfaces) -> Result<Entry, Vec<String>> {
    let descriptor = tool.descriptor();
    let name = descriptor.name;
    let mut problems = Vec::new();
    for published in [
        name.to_owned(),
        descriptor.initiate_name(),
        descriptor.status_name(),
        descriptor.cancel_name(),
        descriptor.respond_name(),
    ] {
        if !is_tool_name(&published) {
            problems.push(format!(
                "`{published}` (of the tool at {}) is no name for an MCP tool: \
                 1 to 128 of A-Z a-z 0-9 _ . - are",
                descriptor.source
            ));
        }
    }
    let surfaces = descriptor.surfaces.unwrap_or(surfaces);
    if surfaces == Surfaces::NONE {
        problems.push(format!(
            "the tool `{name}` is published through no surface: name at least one of family, \
             shared, native"
        ));
    }
    for (option, value) in [
        ("timeout", descriptor.timeout),
        ("max_wait", descriptor.max_wait),
        ("retention", descriptor.retention),
    ] {
        if value.is_some_and(|value| value.is_zero()) {
            problems.push(format!("the tool `{name}` has a `{option}` of zero"));
        }
    }
    if descriptor.concurrency == Some(0) {
        problems.push(format!("the tool `{name}` has a `concurrency` of zero"));
    }
    if descriptor.fleet_concurrency == Some(0) {
        problems.push(format!(
            "the tool `{name}` has a `fleet_concurrency` of zero"
        ));
    }
    if descriptor
        .retry
        .as_ref()
        .is_some_and(|retry| retry.attempts == 0)
    {
        problems.push(format!(
            "the tool `{name}` has a `retry` with zero attempts"
        ));
    }
    if let Some(problem) = descriptor.circuit.and_then(|circuit| circuit.problem()) {
        problems.push(format!("the tool `{name}` has a `circuit` with {problem}"));
    }

    let schemas = tool.schemas();
    if schemas.input.get("type").and_then(Value::as_str) != Some("object") {
        problems.push(format!(
            "the arguments of the tool `{name}` must be a struct with named fields"
        ));
    }
    for combinator in ["oneOf", "anyOf", "allOf"] {
        if schemas.input.contains_key(combinator) {
            problems.push(format!(
                "the argument schema of the tool `{name}` has `{combinator}` at its top, \
                 for which some model providers refuse the whole tool list; \
                 put the alternatives into a property"
            ));
        }
    }
    let properties = schemas.input.get("properties").and_then(Value::as_object);
    for reserved in RESERVED {
        if properties.is_some_and(|properties| properties.contains_key(reserved)) {
            problems.push(format!(
                "the tool `{name}` has an argument named `{reserved}`, which the framework takes \
                 for itself; rename it"
            ));
        }
    }
    if let Some(key) = &descriptor.concurrency_key {
        for argument in key.arguments {
            if !properties.is_some_and(|properties| properties.contains_key(*argument)) {
                problems.push(format!(
                    "the tool `{name}` has a `concurrency_key` over the argument `{argument}`, \
                     which it does not have"
                ));
            }
        }
        if key.limit == 0 {
            problems.push(format!(
                "the tool `{name}` has a `concurrency_key` with a limit of zero"
            ));
        }
    }
    let mut output_schema = schemas.output.clone();
    if let (Value::Object(schema), false) = (&mut output_schema, schemas.output_defs.is_empty()) {
        schema.insert("$defs".into(), Value::Object(schemas.output_defs.clone()));
    }
    let input_schema = Value::Object(schemas.input.clone());
    for (schema, part, of_whole, whole) in [
        (&input_schema, "argument", "", "arguments are"),
        (&output_schema, "property", " of its result", "result is"),
    ] {
        for wide in wide_integers(schema) {
            let what = match wide.property.as_str() {
                "" => format!("its {whole}"),
                property => format!("the {part} `{property}`{of_whole} is"),
            };
            problems.push(format!(
                "the tool `{name}`: {what} an integer of 128 bits (`{}`), and JSON turns such a \
                 number into a floating-point one without a word; use a string",
                wide.format
            ));
        }
    }
    let output = match Checker::new(output_schema) {
        Ok(output) => output,
        Err(error) => {
            problems.push(format!(
                "the result schema of the tool `{name}` is not valid: {error}"
            ));
            return Err(problems);
        }
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Entry {
        name: name.into(),
        descriptor,
        surfaces,
        tool: Arc::clone(tool),
        schemas,
        output,
    })
}

/// What MCP recommends (specification 2026-07-28, server/tools).
fn is_tool_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}
