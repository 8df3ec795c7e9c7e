//! Tasks through plain tools: `NAME_initiate`, `NAME_status`, and so on.

use std::time::Duration;

use rmcp::model::{CallToolRequestParams, CallToolResponse, CallToolResult};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::attempt::{Ask, Reply, Trouble};
use super::error::{CallError, Failure};
use super::input::Question;
use super::link::Live;
use super::route::Family;
use super::snapshot::{End, Seen, Snapshot, seconds};
use crate::store::Status;

/// Longest reason for a cancel that a server takes, in characters.
const MAX_REASON: usize = 500;

pub(super) async fn ask(
    live: &Live,
    family: &Family,
    ask: Ask<'_>,
    within: Duration,
) -> Result<Reply, Trouble> {
    let mut within = within;
    let (tool, arguments) = match ask {
        Ask::Start(start) => {
            let mut arguments = start.arguments.clone();
            if family.keyed {
                arguments
                    .entry("idempotency_key")
                    .or_insert_with(|| start.key.clone().into());
            }
            if let Some(max_wait) = start.max_wait {
                arguments.insert("max_wait_seconds".into(), max_wait.as_secs_f64().into());
            }
            (&family.initiate, arguments)
        }
        Ask::Look { task_id, wait } => {
            within += wait;
            let wait = wait.as_secs_f64();
            let arguments = object(json!({ "task_id": task_id, "wait_seconds": wait }));
            (&family.status, arguments)
        }
        Ask::Cancel { task_id, reason } => {
            let reason: String = reason.chars().take(MAX_REASON).collect();
            let arguments = object(json!({ "task_id": task_id, "reason": reason }));
            (&family.cancel, arguments)
        }
        Ask::Respond {
            task_id,
            key,
            answer,
        } => {
            let mut arguments = object(json!(answer));
            arguments.insert("task_id".into(), task_id.into());
            arguments.insert("key".into(), key.into());
            (&family.respond, arguments)
        }
    };
    let params = CallToolRequestParams::new(tool.clone()).with_arguments(arguments);
    let result = match live
        .answer(within, live.peer().call_tool_once(params))
        .await?
    {
        CallToolResponse::Complete(result) => result,
        _ => {
            return Err(Trouble::protocol(format!(
                "`{tool}` did not answer with a result"
            )));
        }
    };
    read(result, ask)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn read(result: CallToolResult, ask: Ask<'_>) -> Result<Reply, Trouble> {
    let is_error = result.is_error == Some(true);
    // Some that stand between pass on the text alone.
    let structure = match result.structured_content {
        Some(structure) => structure,
        None => serde_json::from_str(&text(&result.content)).unwrap_or_default(),
    };
    if is_error {
        let failure = Box::<Failure>::deserialize(&structure["error"])
            .map_err(|error| Trouble::protocol(format!("a refusal without an error: {error}")))?;
        return refused(failure, ask);
    }
    let seen: Wire = serde_json::from_value(structure)
        .map_err(|error| Trouble::protocol(format!("no snapshot of a task: {error}")))?;
    if ask.task_id().is_some_and(|asked| asked != seen.task_id) {
        return Err(Trouble::protocol("a snapshot of another task"));
    }
    Ok(Reply::Seen(Box::new(seen.read()?)))
}

/// The text of a result.
pub(super) fn text(content: &[rmcp::model::ContentBlock]) -> String {
    content
        .iter()
        .filter_map(|block| block.as_text().map(|text| text.text.as_str()))
        .collect()
}

/// A call that the server refused.
pub(super) fn refused(failure: Box<Failure>, ask: Ask<'_>) -> Result<Reply, Trouble> {
    match (failure.code.as_str(), ask) {
        ("overloaded" | "store_unavailable" | "shutting_down", _) => Err(Trouble::Busy(failure)),
        // Somebody has answered it, or it need not be any more.
        ("question_closed", Ask::Respond { .. }) => Ok(Reply::Heard),
        ("task_not_found", _) if let Some(task_id) = ask.task_id() => {
            Err(Trouble::Final(CallError::NotFound {
                task_id: task_id.to_owned(),
            }))
        }
        _ => Err(Trouble::Final(CallError::Refused {
            task_id: ask.task_id().map(str::to_owned),
            failure,
        })),
    }
}

/// A snapshot as the tools of a family answer it.
#[derive(Deserialize)]
struct Wire {
    task_id: String,
    status: Status,
    message: Option<String>,
    #[serde(default)]
    progress: Progress,
    #[serde(default, deserialize_with = "seconds")]
    eta_seconds: Option<Duration>,
    #[serde(default, deserialize_with = "seconds")]
    poll_after_seconds: Option<Duration>,
    attempt: Option<u32>,
    #[serde(default)]
    cancel_requested: bool,
    #[serde(default)]
    questions: Vec<Question>,
    /// Absent for `null`.
    #[serde(default)]
    result: Value,
    error: Option<Box<Failure>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Progress {
    fraction: Option<f64>,
    current: Option<u64>,
    total: Option<u64>,
    step: Option<String>,
    step_number: Option<usize>,
    step_count: Option<usize>,
}

impl Wire {
    fn read(self) -> Result<Seen, Trouble> {
        let end = match self.status {
            Status::Completed => Some(End::Completed(self.result)),
            Status::Failed => {
                let failure = self
                    .error
                    .ok_or_else(|| Trouble::protocol("a failed task without an error"))?;
                Some(End::Failed(failure))
            }
            Status::Cancelled => Some(End::Cancelled(self.message.clone().unwrap_or_default())),
            Status::Queued | Status::Working | Status::InputRequired => None,
        };
        Ok(Seen {
            task_id: Some(self.task_id),
            snapshot: Snapshot {
                message: self.message,
                fraction: self.progress.fraction,
                current: self.progress.current,
                total: self.progress.total,
                step: self.progress.step,
                step_number: self.progress.step_number,
                step_count: self.progress.step_count,
                eta: self.eta_seconds,
                attempt: self.attempt.unwrap_or(1),
                cancel_requested: self.cancel_requested,
                questions: self.questions,
                ..Snapshot::new(self.status)
            },
            poll_after: self.poll_after_seconds,
            waits: true,
            end,
        })
    }
}
