//! A task in the shapes of the protocol's own tasks.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolResult, ContentBlock, DetailedTask, ElicitRequest, ElicitRequestParams,
    ElicitationSchema, ErrorCode, InputRequest, InputRequests, JsonObject, Task, TaskPayload,
    TaskStatus,
};
use serde_json::{Value, json};

use crate::catalog::Entry;
use crate::engine::View;
use crate::server::wire;
use crate::store::{Outcome, Status};
use crate::task::{Question, TaskFailure};

/// How a call ended, as the call itself would have been answered: a result, or
/// an error of the protocol. None: it has not, or was cancelled.
///
/// A task that failed is a result that says `isError`, for a model to read;
/// only what the tool's author called an error of the protocol is one.
pub(crate) fn ending(
    view: &View,
    entry: Option<&Entry>,
) -> Option<Result<CallToolResult, ErrorData>> {
    match view.record.outcome.as_ref()? {
        Outcome::Completed(json) => {
            let result: Value = serde_json::from_str(json).unwrap_or_default();
            Some(Ok(completed(result, entry)))
        }
        Outcome::Failed(failure) => Some(match failure.protocol_code {
            None => Ok(failed(failure)),
            Some(code) => Err(ErrorData::new(
                ErrorCode(code),
                failure.message.clone(),
                failure.details.clone(),
            )),
        }),
        Outcome::Cancelled(_) => None,
    }
}

fn completed(result: Value, entry: Option<&Entry>) -> CallToolResult {
    if result.is_null() {
        return CallToolResult::success(vec![ContentBlock::text("completed")]);
    }
    let text = match &result {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // Of a tool that this server does not have, the result itself must tell.
    let wrapped = entry.map_or(!result.is_object(), |entry| {
        is_wrapped(&entry.schemas.output)
    });
    let mut answer = CallToolResult::success(vec![ContentBlock::text(text)]);
    answer.structured_content = Some(if wrapped {
        json!({ "result": result })
    } else {
        result
    });
    answer
}

/// Text alone: a structure would have to match the schema of results, which
/// some clients check even here.
fn failed(failure: &TaskFailure) -> CallToolResult {
    let error = json!({ "error": wire::Failure::of(failure) });
    CallToolResult::error(vec![ContentBlock::text(error.to_string())])
}

/// Whether results of this schema go into an object, under `result`: a
/// structured result is an object, and its schema has no alternatives at its
/// top, for which some model providers refuse the whole tool list.
pub(crate) fn is_wrapped(schema: &Value) -> bool {
    let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
    !is_object
        || ["oneOf", "anyOf", "allOf"]
            .iter()
            .any(|combinator| schema.get(combinator).is_some())
}

/// The task without what depends on its status (specification: SEP-2663,
/// `Task`).
pub(crate) fn task(view: &View) -> Task {
    let record = &view.record;
    let mut task = Task::new(
        record.id.to_string(),
        status(view),
        record.created_at.to_string(),
        record.updated_at().to_string(),
    )
    .with_ttl_ms(millis(view.ttl()));
    task.status_message = message(view);
    task.poll_interval_ms = view.poll_after().map(millis);
    task
}

/// The task as `tasks/get` answers it.
pub(crate) fn detailed(view: &View, entry: Option<&Entry>) -> DetailedTask {
    let payload = match view.record.status {
        Status::Queued | Status::Working => TaskPayload::Working,
        Status::InputRequired => TaskPayload::InputRequired {
            input_requests: input_requests(view),
        },
        Status::Cancelled => TaskPayload::Cancelled,
        Status::Completed | Status::Failed => match ending(view, entry) {
            Some(Ok(result)) => TaskPayload::Completed {
                result: object(&result),
            },
            Some(Err(error)) => TaskPayload::Failed {
                error: object(&error),
            },
            // Both have an outcome.
            None => TaskPayload::Cancelled,
        },
    };
    DetailedTask::new(task(view), payload)
}

fn status(view: &View) -> TaskStatus {
    match view.record.status {
        Status::Queued | Status::Working => TaskStatus::Working,
        Status::InputRequired => TaskStatus::InputRequired,
        Status::Completed => TaskStatus::Completed,
        Status::Failed => match view.record.outcome {
            Some(Outcome::Failed(ref failure)) if failure.protocol_code.is_some() => {
                TaskStatus::Failed
            }
            _ => TaskStatus::Completed,
        },
        Status::Cancelled => TaskStatus::Cancelled,
    }
}

/// Progress of a task has no place in this protocol but here.
pub(crate) fn message(view: &View) -> Option<String> {
    match &view.record.outcome {
        None => Some(match view.record.open_questions().next() {
            Some(question) => question.message.to_string(),
            None => wire::line(view),
        }),
        Some(Outcome::Completed(_)) => None,
        Some(Outcome::Failed(failure)) => Some(failure.message.clone()),
        Some(Outcome::Cancelled(reason)) => {
            Some(reason.to_string()).filter(|text| !text.is_empty())
        }
    }
}

/// What a task waits for, by the keys of its questions.
pub(crate) fn input_requests(view: &View) -> InputRequests {
    view.record
        .open_questions()
        .filter_map(|question| Some((question.key.to_string(), elicitation(question)?)))
        .collect()
}

fn elicitation(question: &Question) -> Option<InputRequest> {
    let params = elicitation_params(question)?;
    Some(InputRequest::Elicitation(ElicitRequest::new(params)))
}

/// A question as the protocol asks it. None for a schema that the protocol
/// cannot express, which `ask` refuses.
pub(crate) fn elicitation_params(question: &Question) -> Option<ElicitRequestParams> {
    let schema: ElicitationSchema = serde_json::from_str(&question.schema).ok()?;
    Some(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: question.message.to_string(),
        requested_schema: schema,
    })
}

fn object(value: &impl serde::Serialize) -> JsonObject {
    // Of strings, numbers and JSON; cannot fail.
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => object,
        _ => JsonObject::new(),
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use schemars::JsonSchema;

    use super::*;
    use crate::schema::of_answer;
    use crate::task::Epoch;

    /// Whatever `ask` lets through must be something that clients can be asked.
    #[test]
    fn every_schema_of_an_answer_is_one_of_an_elicitation() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema counts")]
        enum Size {
            /// A few.
            Small,
            Large,
        }
        /// A moment is a struct, and none of MCP's.
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema counts")]
        struct Moment {
            at: std::time::SystemTime,
        }
        fn nothing() -> String {
            String::new()
        }
        #[derive(JsonSchema)]
        struct Nothing {}

        let refused = of_answer::<Moment>();
        assert!(refused.is_err_and(|problem| problem.contains("`at`")));

        #[derive(JsonSchema)]
        #[schemars(deny_unknown_fields)]
        #[expect(dead_code, reason = "only its schema counts")]
        struct Most {
            /// Go on?
            approved: bool,
            address: Ipv4Addr,
            count: Option<u8>,
            wide: i64,
            ratio: f32,
            letter: char,
            #[schemars(range(min = 0.5, max = 2.5))]
            bounded: f64,
            #[schemars(length(min = 1, max = 20), regex(pattern = "^a"))]
            name: String,
            #[schemars(email)]
            mail: String,
            size: Size,
            maybe: Option<Size>,
            #[schemars(default = "nothing")]
            comment: String,
        }
        for schema in [of_answer::<Most>(), of_answer::<Nothing>()] {
            let schema = schema.expect("flat").to_string();
            let question = Question::new("k", "?", schema.clone(), Epoch(1));
            assert!(elicitation_params(&question).is_some(), "{schema}");
        }
    }
}
