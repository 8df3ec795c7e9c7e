//! The JSON API: what the page reads, and the one thing that it changes.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Site;
use super::shapes::{Detail, Health, Moment, Row};
use crate::progress::{MAX_MESSAGE, shortened};
use crate::refusal::Refusal;
use crate::store::{Cursor, Status, StoreError, TaskId, Timestamp};

/// Most bytes of a request's body.
pub(super) const MAX_BODY: usize = 8 * 1024;
/// Tasks of a page, unless said otherwise.
const PAGE: usize = 50;
const MAX_PAGE: usize = 200;

/// What was wrong with a request, or on the way to its answer.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self {
            status,
            code,
            message,
        }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message.into())
    }

    fn no_task() -> Self {
        let message = "there is no such task, or its retention is over";
        Self::new(StatusCode::NOT_FOUND, "task_not_found", message.to_owned())
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let error = json!({"error": {"code": problem.code, "message": problem.message}});
        let mut response = answer(problem.status, error.to_string());
        if problem.status == StatusCode::SERVICE_UNAVAILABLE {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TaskNotFound => Self::no_task(),
            other => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                other.code(),
                other.message(),
            ),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Refusal::from(error).into()
    }
}

fn answer(status: StatusCode, json: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        // Of somebody's tasks nothing is to stay on a disk.
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, json.into()).into_response()
}

/// As JSON text; what the API tells has no maps with odd keys, which alone could
/// fail.
pub(super) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn ok(value: &impl Serialize) -> Response {
    answer(StatusCode::OK, text(value))
}

/// Which tasks are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    tool: Option<String>,
    /// Statuses, with commas between them.
    status: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

impl Wanted {
    pub(super) fn tool(&self) -> Option<Arc<str>> {
        let tool = self.tool.as_deref().filter(|tool| !tool.is_empty());
        tool.map(Arc::from)
    }

    pub(super) fn statuses(&self) -> Result<Vec<Status>, Problem> {
        let words = self.status.as_deref().filter(|words| !words.is_empty());
        let Some(words) = words else {
            return Ok(Status::ALL.to_vec());
        };
        let mut wanted = Vec::new();
        for word in words.split(',') {
            let known = Status::ALL.into_iter().find(|it| it.as_str() == word);
            let status = known.ok_or_else(|| {
                let all = Status::ALL.map(Status::as_str).join(", ");
                let word = shortened(word.to_owned(), 100);
                Problem::bad_request(format!("`status`: `{word}` is none of {all}"))
            })?;
            if !wanted.contains(&status) {
                wanted.push(status);
            }
        }
        Ok(wanted)
    }

    fn after(&self) -> Result<Option<Cursor>, Problem> {
        let read = |text: &str| {
            let (moment, id) = text.split_once('-')?;
            Some(Cursor::new(
                Timestamp(moment.parse().ok()?),
                id.parse().ok()?,
            ))
        };
        let after = self.after.as_deref();
        after
            .map(|text| {
                let message = "`after` must be the `next` of an earlier page";
                read(text).ok_or_else(|| Problem::bad_request(message))
            })
            .transpose()
    }
}

pub(super) fn cursor(cursor: Cursor) -> String {
    format!("{}-{}", cursor.created_at.0, cursor.id)
}

/// The query of a request, or what is wrong with it.
pub(super) type Asked = Result<Query<Wanted>, axum::extract::rejection::QueryRejection>;

pub(super) fn wanted(asked: Asked) -> Result<Wanted, Problem> {
    match asked {
        Ok(Query(wanted)) => Ok(wanted),
        Err(rejection) => Err(Problem::bad_request(rejection.body_text())),
    }
}

#[derive(Serialize)]
struct Page<'a> {
    now: Moment,
    tasks: Vec<Row<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

pub(super) async fn tasks(
    State(site): State<Arc<Site>>,
    asked: Asked,
) -> Result<Response, Problem> {
    let wanted = wanted(asked)?;
    let (statuses, after) = (wanted.statuses()?, wanted.after()?);
    let limit = wanted.limit.unwrap_or(PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let message = format!("`limit` must be 1 to {MAX_PAGE}, not {limit}");
        return Err(Problem::bad_request(message));
    }
    let engine = site.engine();
    let tool = wanted.tool();
    let found = engine.list_for_operators(tool.as_ref(), &statuses, after, limit);
    let (views, next) = found.await?;
    Ok(ok(&Page {
        now: Moment(engine.now()),
        tasks: views.iter().map(Row::of).collect(),
        next: next.map(cursor),
    }))
}

/// The id in a path.
pub(super) fn task_id(text: &str) -> Result<TaskId, Problem> {
    // What is no id is no task's.
    text.parse().map_err(|_| Problem::no_task())
}

/// A task, as JSON; none if it is not there.
pub(super) async fn detail(site: &Site, id: TaskId) -> Result<Option<String>, StoreError> {
    let inspected = site.engine().inspect(id).await?;
    let results = site.options.results;
    Ok(inspected.map(|inspected| text(&Detail::of(&inspected, results))))
}

pub(super) async fn task(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let detail = detail(&site, task_id(&id)?).await?;
    let detail = detail.ok_or_else(Problem::no_task)?;
    Ok(answer(StatusCode::OK, detail))
}

/// How it stands with the store.
pub(super) async fn state(site: &Site) -> Result<Health, StoreError> {
    let engine = site.engine();
    let stats = engine.stats().await?;
    Ok(Health::of(
        &stats,
        engine.tripped_circuits(),
        engine.is_draining(),
        site.options.cancel,
    ))
}

pub(super) async fn health(State(site): State<Arc<Site>>) -> Result<Response, Problem> {
    Ok(ok(&state(&site).await?))
}

pub(super) async fn tools(State(site): State<Arc<Site>>) -> Result<Response, Problem> {
    let json = site.statistics.json(site.engine()).await?;
    Ok(answer(StatusCode::OK, json.to_string()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    #[serde(default)]
    reason: String,
}

/// Asks a task to stop; the answer is the task, which may have ended by then.
pub(super) async fn cancel(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let id = task_id(&id)?;
    let body = body.map_err(|rejection| {
        Problem::new(rejection.status(), "invalid_request", rejection.body_text())
    })?;
    let json = headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes().split(|byte| *byte == b';').next();
        value.is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"application/json"))
    });
    if !json {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "invalid_request",
            "the body must be `application/json`".to_owned(),
        ));
    }
    let Cancel { reason } = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("the body: {error}")))?;
    let reason = match reason.trim() {
        "" => "cancelled by an operator",
        reason => reason,
    };
    let reason = shortened(reason.to_owned(), MAX_MESSAGE);
    let view = site
        .engine()
        .cancel_for_operators(id, reason.into())
        .await?;
    tracing::info!(task_id = %id, status = %view.record.status, "an operator cancelled a task");
    Ok(ok(&Row::of(&view)))
}

pub(super) async fn nothing_there() -> Response {
    let message = "there is nothing at this path".to_owned();
    Problem::new(StatusCode::NOT_FOUND, "not_found", message).into()
}

pub(super) async fn wrong_method() -> Response {
    let message = "this path does not take this method".to_owned();
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
    .into()
}
