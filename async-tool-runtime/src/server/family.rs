//! The family of a tool as MCP publishes it: names, descriptions, schemas.
//!
//! A model reads all of this before it does anything, so every word counts
//! (budget: 3 KiB a tool).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::list::{self, TaskList};
use crate::catalog::{Catalog, Entry};
use crate::descriptor::Annotations;
use crate::engine::Config;
use crate::refusal::Problem;
use crate::schema::Checker;
use crate::store::LogLine;

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
    input: Checker,
}

impl Member {
    /// What is wrong with the arguments of a call.
    pub(crate) fn check(&self, arguments: &Value) -> Result<(), Vec<Problem>> {
        self.input.check(arguments).map_err(|mut problems| {
            for problem in &mut problems {
                if problem.path == "/idempotency_key" {
                    "must be 1 to 255 visible ASCII characters, without spaces"
                        .clone_into(&mut problem.message);
                }
            }
            problems
        })
    }
}

/// What a published name stands for.
pub(crate) enum Published<'a> {
    Member(&'a Member),
    List(&'a TaskList),
}

/// All published tools.
#[derive(Default)]
pub(crate) struct Families {
    members: BTreeMap<String, Member>,
    list: Option<TaskList>,
    tools: Vec<Tool>,
}

impl Families {
    /// The families of all tools; the problems, if they cannot be published.
    pub(crate) fn of(
        catalog: &Catalog,
        config: &Config,
        list: Option<TaskList>,
    ) -> Result<Self, Vec<String>> {
        let mut families = Self {
            list,
            ..Self::default()
        };
        let mut problems = Vec::new();
        for entry in catalog.iter() {
            for verb in [Verb::Initiate, Verb::Status, Verb::Cancel] {
                if let Err(problem) = families.publish(entry, verb, config) {
                    problems.push(problem);
                }
            }
        }
        if let Some(list) = &families.list {
            families.tools.push(list.tool().clone());
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

    pub(crate) fn get(&self, name: &str) -> Option<Published<'_>> {
        match &self.list {
            Some(list) if name == list::NAME => Some(Published::List(list)),
            _ => self.members.get(name).map(Published::Member),
        }
    }

    fn publish(&mut self, entry: &Arc<Entry>, verb: Verb, config: &Config) -> Result<(), String> {
        let tool = match verb {
            Verb::Initiate => initiate(entry, config),
            Verb::Status => status(entry, config),
            Verb::Cancel => cancel(entry),
        };
        if self.list.is_some() && tool.name == list::NAME {
            return Err(format!(
                "the name `{}` of the tool `{}` at {} is that of the list of tasks; \
                 change it with `names(...)`",
                list::NAME,
                entry.name,
                entry.descriptor.source,
            ));
        }
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
    if descriptor.dedupe.is_some() {
        description
            .push_str("Equal calls share one task while it runs; stopping it stops it for all. ");
    }
    description.push_str(&format!(
        "Starts a task. Call {} with its task_id and wait_seconds until done is true; {} stops it. \
         Readable for {} after its end.",
        descriptor.status_name(),
        descriptor.cancel_name(),
        humantime::format_duration(Duration::from_secs(retention.as_secs().max(1))),
    ));

    let mut input = entry.schemas.input.clone();
    // They repeat the Rust names and tell a model nothing.
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
    }
    input
        .entry("additionalProperties")
        .or_insert(Value::Bool(false));

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
    let mut hints = descriptor.annotations;
    if descriptor.dedupe.is_some() {
        hints.idempotent = hints.idempotent.or(Some(true));
    }
    if hints != Annotations::new() {
        tool.annotations = Some(ToolAnnotations::from_raw(
            None,
            hints.read_only,
            hints.destructive,
            hints.idempotent,
            hints.open_world,
        ));
    }
    tool
}

fn status(entry: &Entry, config: &Config) -> Tool {
    let descriptor = entry.descriptor;
    let cap = config.wait_cap.as_secs_f64();
    let input = object(json!({
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
    }));
    let output = json!({
        "properties": {
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
            "result": entry.schemas.output,
            "error": error(),
        },
        // created_at, started_at, finished_at, expires_at
        "patternProperties": {"_at$": text("RFC 3339.")},
    });
    tool(
        descriptor.status_name(),
        format!("Reads a task of {}.", descriptor.initiate_name()),
        input,
        output,
        entry.schemas.output_defs.clone(),
    )
    .with_annotations(ToolAnnotations::new().read_only(true).idempotent(true))
}

fn cancel(entry: &Entry) -> Tool {
    let descriptor = entry.descriptor;
    let input = object(json!({
        "type": "object",
        "properties": {
            "task_id": text("The task."),
            "reason": {"type": "string", "maxLength": 500},
        },
        "required": ["task_id"],
        "additionalProperties": false,
    }));
    let output = json!({
        "properties": {"done": done()},
    });
    tool(
        descriptor.cancel_name(),
        format!("Stops a task of {}.", descriptor.initiate_name()),
        input,
        output,
        Map::new(),
    )
    .with_annotations(ToolAnnotations::new().idempotent(true).destructive(true))
}

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

fn done() -> Value {
    json!({"type": "boolean", "description": "Ended."})
}

fn error() -> Value {
    json!({"type": "object", "description": "code, message, retryable."})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn integer(description: &str) -> Value {
    json!({"type": "integer", "description": description})
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
