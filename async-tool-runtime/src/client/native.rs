//! Tasks by the protocol's own methods: extension
//! `io.modelcontextprotocol/tasks` of protocol 2026-07-28 (SEP-2663).

use std::time::Duration;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, CancelTaskParams, CancelTaskRequest,
    ClientCapabilities, ClientRequest, DetailedTask, ElicitRequestParams, ErrorCode, ErrorData,
    GetTaskParams, GetTaskRequest, InputRequest, InputRequests, RequestMetaObject, ServerResult,
    Task, TaskPayload, TaskStatus, UpdateTaskParams, UpdateTaskRequest,
};
use rmcp::service::{PeerRequestOptions, ServiceError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::attempt::{Ask, Reply, Trouble};
use super::error::{CallError, Failure};
use super::family::{refused, text};
use super::input::Question;
use super::link::{Live, NoAnswer};
use super::route::{Native, ToolNames};
use super::snapshot::{End, Seen, Snapshot};
use crate::store::Status;

/// In `_meta` of a call: what `idempotency_key` is to an initiate tool.
const KEY: &str = "async-tool/idempotency_key";
/// In `_meta` of a call: what `max_wait_seconds` is to an initiate tool.
const MAX_WAIT: &str = "async-tool/max_wait_seconds";
/// In `_meta` of a cancel: why.
const REASON: &str = "async-tool/reason";

/// In `_meta` of a result: the task whose end it is.
const TASK_ID: &str = "async-tool/task_id";
/// The code of a task that failed and has none of its own.
const TOOL_ERROR: &str = "tool_error";
/// The codes of calls of which there is no task.
const REFUSALS: [&str; 9] = [
    "invalid_arguments",
    "idempotency_conflict",
    "overloaded",
    "circuit_open",
    "shutting_down",
    "store_unavailable",
    "unauthenticated",
    "abandoned",
    "internal",
];

pub(super) async fn ask(
    live: &Live,
    native: &Native,
    names: &ToolNames,
    ask: Ask<'_>,
    within: Duration,
) -> Result<Reply, Trouble> {
    let (request, meta) = request(names, ask);
    let options = PeerRequestOptions::with_timeout(within).with_meta(meta);
    let sent = async {
        let peer = live.peer();
        let sent = peer.send_cancellable_request(request, options).await?;
        sent.await_response().await
    };
    // rmcp's own timeout comes first, and takes the request back.
    let answered = live.answer(within + Duration::from_secs(1), sent).await;
    let answer = match answered {
        Err(NoAnswer::Service(ServiceError::McpError(error))) => return Err(refusal(&error, ask)),
        answered => answered?,
    };
    match (answer, ask) {
        (ServerResult::CallToolResult(result), Ask::Start(_)) => ended(result, native, ask),
        (ServerResult::CreateTaskResult(created), Ask::Start(_)) => {
            Ok(Reply::Seen(Box::new(seen(created.task))))
        }
        (ServerResult::InputRequiredResult(more), Ask::Start(_)) => Ok(Reply::Asks {
            questions: questions(more.input_requests.unwrap_or_default())?,
            state: more.request_state,
        }),
        (ServerResult::GetTaskResult(got), Ask::Look { task_id, .. })
            if got.task.task.task_id == task_id =>
        {
            Ok(Reply::Seen(Box::new(detailed(got.task, native)?)))
        }
        (
            ServerResult::TaskAckResult(_) | ServerResult::EmptyResult(_),
            Ask::Cancel { .. } | Ask::Respond { .. },
        ) => Ok(Reply::Heard),
        _ => Err(Trouble::protocol("not what was asked for")),
    }
}

fn request(names: &ToolNames, ask: Ask<'_>) -> (ClientRequest, RequestMetaObject) {
    let mut meta = RequestMetaObject::new();
    // Each request says what can be answered to it; what the application's
    // own client can do does not matter here.
    meta.set_client_capabilities(
        ClientCapabilities::builder()
            .enable_elicitation()
            .enable_tasks()
            .build(),
    );
    let request = match ask {
        Ask::Start(start) => {
            meta.insert(KEY.to_owned(), start.key.clone().into());
            if let Some(max_wait) = start.max_wait {
                meta.insert(MAX_WAIT.to_owned(), max_wait.as_secs_f64().into());
            }
            let mut params = CallToolRequestParams::new(names.tool.clone())
                .with_arguments(start.arguments.clone());
            params.input_responses.clone_from(&start.answers);
            params.request_state.clone_from(&start.state);
            ClientRequest::CallToolRequest(CallToolRequest::new(params))
        }
        Ask::Look { task_id, .. } => {
            ClientRequest::GetTaskRequest(GetTaskRequest::new(GetTaskParams::new(task_id)))
        }
        Ask::Cancel { task_id, reason } => {
            meta.insert(REASON.to_owned(), reason.into());
            ClientRequest::CancelTaskRequest(CancelTaskRequest::new(CancelTaskParams::new(task_id)))
        }
        Ask::Respond {
            task_id,
            key,
            answer,
        } => {
            let responses = [(key.to_owned(), json!(answer))].into();
            let params = UpdateTaskParams::new(task_id, responses);
            ClientRequest::UpdateTaskRequest(UpdateTaskRequest::new(params))
        }
    };
    (request, meta)
}

/// What an error of the protocol means.
fn refusal(error: &ErrorData, ask: Ask<'_>) -> Trouble {
    let failure = failure_of(json!(error));
    match (error.code, ask) {
        (ErrorCode::INVALID_PARAMS, Ask::Look { task_id, .. } | Ask::Cancel { task_id, .. }) => {
            Trouble::Final(CallError::NotFound {
                task_id: task_id.to_owned(),
            })
        }
        // For instance its store is away; to ask again does no harm.
        (
            ErrorCode::INTERNAL_ERROR,
            Ask::Look { .. } | Ask::Cancel { .. } | Ask::Respond { .. },
        ) => Trouble::Busy(failure),
        _ => Trouble::Final(CallError::Refused {
            task_id: ask.task_id().map(str::to_owned),
            failure,
        }),
    }
}

/// The call was answered with a result instead of a task.
fn ended(result: CallToolResult, native: &Native, ask: Ask<'_>) -> Result<Reply, Trouble> {
    let meta = result.meta.as_ref();
    let task_id = meta
        .and_then(|meta| meta.get(TASK_ID))
        .and_then(Value::as_str)
        .map(str::to_owned);
    let end = end_of(result, native);
    match end {
        End::Failed(failure) if task_id.is_none() && REFUSALS.contains(&failure.code.as_str()) => {
            refused(failure, ask)
        }
        end => Ok(Reply::Seen(Box::new(Seen {
            task_id,
            ..Seen::ended(end)
        }))),
    }
}

/// What the result of a call says of its task.
fn end_of(result: CallToolResult, native: &Native) -> End {
    if result.is_error != Some(true) {
        return End::Completed(completed(result, native));
    }
    let text = text(&result.content);
    let failure = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|error| Box::<Failure>::deserialize(&error["error"]).ok());
    match failure {
        Some(failure) if failure.code == "cancelled" => End::Cancelled(failure.message),
        Some(failure) => End::Failed(failure),
        None => End::Failed(Box::new(Failure {
            code: TOOL_ERROR.to_owned(),
            message: text,
            retryable: false,
            retry_after: None,
            details: result.structured_content,
        })),
    }
}

/// The result that a tool's function returned.
///
/// A tool of this library puts what is no object into one, under `result`, and
/// the result itself into the text.
fn completed(result: CallToolResult, native: &Native) -> Value {
    let text = text(&result.content);
    match result.structured_content {
        Some(Value::Object(mut object)) if native.ours && object.len() == 1 => {
            let itself: Value = serde_json::from_str(&text).unwrap_or_default();
            match object.remove("result") {
                Some(inner) if itself != json!({ "result": inner }) => inner,
                Some(inner) => json!({ "result": inner }),
                None => Value::Object(object),
            }
        }
        Some(structure) => structure,
        None if native.ours => Value::Null,
        None => Value::String(text),
    }
}

fn seen(task: Task) -> Seen {
    let status = match task.status {
        TaskStatus::InputRequired => Status::InputRequired,
        TaskStatus::Completed => Status::Completed,
        TaskStatus::Failed => Status::Failed,
        TaskStatus::Cancelled => Status::Cancelled,
        _ => Status::Working,
    };
    Seen {
        task_id: Some(task.task_id),
        snapshot: Snapshot {
            message: task.status_message,
            ..Snapshot::new(status)
        },
        poll_after: task.poll_interval_ms.map(Duration::from_millis),
        waits: false,
        end: None,
    }
}

fn detailed(task: DetailedTask, native: &Native) -> Result<Seen, Trouble> {
    let mut seen = seen(task.task);
    seen.end = match task.payload {
        TaskPayload::InputRequired { input_requests } => {
            seen.snapshot.questions = questions(input_requests)?;
            None
        }
        TaskPayload::Completed { result } => {
            let result = serde_json::from_value(Value::Object(result))
                .map_err(|error| Trouble::protocol(format!("no result of a tool: {error}")))?;
            Some(end_of(result, native))
        }
        TaskPayload::Failed { error } => Some(End::Failed(failure_of(Value::Object(error)))),
        TaskPayload::Cancelled => {
            let reason = seen.snapshot.message.clone();
            Some(End::Cancelled(reason.unwrap_or_default()))
        }
        _ => None,
    };
    if let Some(end) = &seen.end {
        seen.snapshot.status = end.status();
    }
    Ok(seen)
}

/// An error of JSON-RPC as one of ours.
fn failure_of(mut error: Value) -> Box<Failure> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Box::new(Failure {
        code: text(&error["code"]),
        message: text(&error["message"]),
        retryable: false,
        retry_after: None,
        details: error.get_mut("data").map(Value::take),
    })
}

fn questions(requests: InputRequests) -> Result<Vec<Question>, Trouble> {
    let question = |(key, request)| match request {
        InputRequest::Elicitation(request) => match request.params {
            ElicitRequestParams::FormElicitationParams {
                message,
                requested_schema,
                ..
            } => Ok(Question {
                key,
                message,
                schema: json!(requested_schema),
            }),
            _ => Err(Trouble::protocol(
                "a question that was not offered to answer",
            )),
        },
        _ => Err(Trouble::protocol(
            "a question that was not offered to answer",
        )),
    };
    requests.into_iter().map(question).collect()
}
