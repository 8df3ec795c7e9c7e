//! The family of a tool as MCP publishes it: names, descriptions, schemas.
//!
//! A model reads all of this before it does anything, so every word counts
//! (budget: 3 KiB a tool).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::catalog::{Catalog, Entry};
use crate::engine::Config;
use crate::schema::Checker;

/// Names that the framework takes from the arguments of initiate.
pub(crate) const RESERVED: [&str; 3] = ["idempotency_key", "max_wait_seconds", "callback_url"];

/// Which tool of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Initiate,
    Status,
    Cancel,
}

/// One published tool.
pub(crate) struct Member {
    pub(crate) verb: Verb,
    pub(crate) entry: Arc<Entry>,
    /// Checks the arguments against the published schema.
    pub(crate) input: Checker,
}

/// All published tools.
#[derive(Default)]
pub(crate) struct Families {
    members: BTreeMap<String, Member>,
    tools: Vec<Tool>,
}

impl Families {
    /// The families of all tools; the problems, if they cannot be published.
    pub(crate) fn of(catalog: &Catalog, config: &Config) -> Result<Self, Vec<String>> {
        let mut families = Self::default();
        let mut problems = Vec::new();
        for entry in catalog.iter() {
            for verb in [Verb::Initiate, Verb::Status, Verb::Cancel] {
                if let Err(problem) = families.publish(entry, verb, config) {
                    problems.push(problem);
                }
            }
        }
        families.tools.sort_by(|a, b| a.name.cmp(&b.name));
        if problems.is_empty() {
            Ok(families)
        } else {
            Err(problems)
        }
    }

    /// Sorted by name.
    pub(crate) fn tools(&self) -> &[Tool] {
        &self.tools
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Member> {
        self.members.get(name)
    }

    fn publish(&mut self, entry: &Arc<Entry>, verb: Verb, config: &Config) -> Result<(), String> {
        let tool = match verb {
            Verb::Initiate => initiate(entry, config),
            Verb::Status => status(entry, config),
            Verb::Cancel => cancel(entry),
        };
        if let Some(other) = self.members.get(&*tool.name) {
            return Err(format!(
                "the name `{}` is used twice: by the tool `{}` at {} and by the tool `{}` at {}; \
                 change one with `names(...)`",
                tool.name,
                other.entry.name,
                other.entry.descriptor.source,
                entry.name,
                entry.descriptor.source,
            ));
        }
        let schema = Value::Object(tool.input_schema.as_ref().clone());
        let input = Checker::new(schema).map_err(|error| {
            format!(
                "the argument schema of the tool `{}` is not valid: {error}",
                entry.name
            )
        })?;
        let member = Member {
            verb,
            entry: Arc::clone(entry),
            input,
        };
        self.members.insert(tool.name.to_string(), member);
        self.tools.push(tool);
        Ok(())
    }
}

fn initiate(entry: &Entry, config: &Config) -> Tool {
    let descriptor = entry.descriptor;
    let retention = descriptor.retention.unwrap_or(config.retention);
    let mut description = String::new();
    if !descriptor.description.is_empty() {
        description.push_str(descriptor.description);
        description.push_str("\n\n");
    }
    description.push_str(&format!(
        "Starts a task and answers at once with its task_id. Then call {} with wait_seconds until \
         done is true; {} stops it. A finished task stays readable for {}.",
        descriptor.status_name(),
        descriptor.cancel_name(),
        humantime::format_duration(Duration::from_secs(retention.as_secs().max(1))),
    ));

    let mut input = entry.schemas.input.clone();
    // Titles repeat the Rust names and tell a model nothing.
    for noise in ["$schema", "title", "description"] {
        input.remove(noise);
    }
    let max_wait = descriptor.max_wait.unwrap_or(config.max_age);
    let properties = input
        .entry("properties")
        .or_insert_with(|| json!({}))
        .as_object_mut();
    if let Some(properties) = properties {
        properties.insert(
            "idempotency_key".into(),
            json!({
                "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$",
                "description": "Retrying with the same key and arguments gives the same task.",
            }),
        );
        properties.insert(
            "max_wait_seconds".into(),
            json!({
                "type": "number", "exclusiveMinimum": 0, "maximum": max_wait.as_secs_f64(),
                "description": "Fail the task if it has not finished this many seconds from now. \
                    Does not make this call wait; normally leave out.",
            }),
        );
    }
    input
        .entry("additionalProperties")
        .or_insert(Value::Bool(false));

    let mut output = json!({
        "task_id": text("Names the task."),
        "status": text("Where it stands."),
        "done": {"type": "boolean", "description": "It has ended."},
        "poll_after_seconds": {"type": "integer", "description": "Ask again after this pause."},
        "next": text("What to do now."),
        "error": error_schema(),
    });
    let mut defs = Map::new();
    if descriptor.inline.is_some() {
        output["result"] = entry.schemas.output.clone();
        defs.clone_from(&entry.schemas.output_defs);
    }
    let hints = descriptor.annotations;
    let mut tool = tool(
        descriptor.initiate_name(),
        description,
        input,
        &output,
        defs,
    )
    .with_annotations(ToolAnnotations::from_raw(
        None,
        hints.read_only,
        hints.destructive,
        hints.idempotent,
        hints.open_world,
    ));
    tool.title = descriptor.title.map(str::to_owned);
    tool
}

fn status(entry: &Entry, config: &Config) -> Tool {
    let descriptor = entry.descriptor;
    let cap = config.wait_cap.as_secs_f64();
    let input = object(json!({
        "type": "object",
        "properties": {
            "task_id": text(&format!("As {} answered.", descriptor.initiate_name())),
            "wait_seconds": {
                "type": "number", "minimum": 0, "default": 0,
                "description": format!(
                    "Wait this long for the end before answering (at most {cap}; saves turns)."
                ),
            },
            "until": {
                "type": "string", "enum": ["done", "step"], "default": "done",
                "description": "step: answer also when the step changes.",
            },
            "since": {
                "type": "integer", "minimum": 0,
                "description": "With until=step: the revision seen last.",
            },
            "include_result": {"type": "boolean", "default": true, "description": "Answer the result."},
        },
        "required": ["task_id"],
        "additionalProperties": false,
    }));
    let mut output = json!({
        "task_id": text("Names the task."),
        "status": {
            "enum": ["queued", "working", "input_required", "completed", "failed", "cancelled"],
            "description": "Where it stands.",
        },
        "done": {"type": "boolean", "description": "It has ended."},
        "revision": integer("Grows with each change of status or step."),
        "message": text("What is happening, or why it was cancelled."),
        "progress": {
            "type": "object", "description": "How far it is.",
            "properties": {
                "fraction": {"type": "number", "description": "0 to 1."},
                "current": integer("Units done in this step."),
                "total": integer("Units in this step."),
                "step": text("Name of this step."),
                "step_number": integer("From 1."),
                "step_count": integer("Steps in all."),
            },
        },
        "eta_seconds": integer("Estimated time left."),
        "poll_after_seconds": integer("Ask again after this pause."),
        "attempt": integer("Execution; absent for the first."),
        "cancel_requested": {"type": "boolean", "description": "It was asked to stop."},
        "created_at": text("RFC 3339."),
        "started_at": text("RFC 3339."),
        "finished_at": text("RFC 3339."),
        "expires_at": text("Readable until."),
        "error": error_schema(),
    });
    output["result"] = entry.schemas.output.clone();
    tool(
        descriptor.status_name(),
        format!("Reads a task of {}.", descriptor.initiate_name()),
        input,
        &output,
        entry.schemas.output_defs.clone(),
    )
    .with_annotations(ToolAnnotations::new().read_only(true).idempotent(true))
}

fn cancel(entry: &Entry) -> Tool {
    let descriptor = entry.descriptor;
    let input = object(json!({
        "type": "object",
        "properties": {
            "task_id": text(&format!("As {} answered.", descriptor.initiate_name())),
            "reason": {"type": "string", "maxLength": 500, "description": "Why."},
        },
        "required": ["task_id"],
        "additionalProperties": false,
    }));
    let output = json!({
        "task_id": text("Names the task."),
        "status": text("cancelled, or how it ended before that."),
        "done": {"type": "boolean", "description": "It has ended; false: it is stopping."},
        "error": error_schema(),
    });
    tool(
        descriptor.cancel_name(),
        format!("Stops a task of {}.", descriptor.initiate_name()),
        input,
        &output,
        Map::new(),
    )
    .with_annotations(ToolAnnotations::new().idempotent(true).destructive(true))
}

fn tool(
    name: String,
    description: String,
    input: Map<String, Value>,
    output: &Value,
    defs: Map<String, Value>,
) -> Tool {
    // No property is required: refusals have an `error` alone, and clients
    // validate those as well.
    let mut schema = object(json!({ "type": "object", "properties": output }));
    if !defs.is_empty() {
        schema.insert("$defs".into(), Value::Object(defs));
    }
    Tool::new(name, description, input).with_raw_output_schema(Arc::new(schema))
}

fn error_schema() -> Value {
    json!({
        "type": "object", "description": "Why the task failed or the call was refused.",
        "properties": {
            "code": {"type": "string"},
            "message": {"type": "string"},
            "retryable": {"type": "boolean"},
        },
    })
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn integer(description: &str) -> Value {
    json!({"type": "integer", "description": description})
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
