//! Tasks as they change, by server-sent events.
//!
//! A stream tells states and not changes: it begins with all that there is, and
//! then tells what is different from what it told before. So a browser that was
//! away for a while, or a change that nobody announced, does no harm.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::Site;
use super::api::{Asked, Problem, Wanted, cursor, detail, state, task_id, text, wanted};
use super::shapes::{Moment, Row};
use crate::engine::{Subscription, View};
use crate::refusal::Refusal;
use crate::store::{Change, Status, StoreError, TaskId};

/// Two states are told at least this far apart.
const PAUSE: Duration = Duration::from_millis(500);
/// Nobody announces progress within a step, or new tasks of other processes: a
/// stream looks at least this often.
const LOOK: Duration = Duration::from_secs(1);
/// Proxies end connections in which nothing is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// After so long the browser must ask again, and be allowed to.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// When the browser asks again.
const RETRY: Duration = Duration::from_secs(2);

/// Most tasks in a stream that have not ended, and that have.
const MAX_ACTIVE: usize = 200;
const MAX_ENDED: usize = 50;

/// When to look again.
struct Pulse {
    site: Arc<Site>,
    changes: Changes,
    looked: Option<Instant>,
    over: Instant,
    _permit: OwnedSemaphorePermit,
}

/// What may have changed something.
enum Changes {
    /// Any task, anywhere.
    Any(BoxStream<'static, Change>),
    /// This task, in this process.
    Of(Subscription),
}

impl Pulse {
    fn new(site: &Arc<Site>, changes: Changes) -> Result<Self, Problem> {
        let permit = Arc::clone(&site.streams).try_acquire_owned();
        let permit = permit.map_err(|_| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_streams",
                "as many browsers as this server allows are kept up to date; look now and then"
                    .to_owned(),
            )
        })?;
        Ok(Self {
            site: Arc::clone(site),
            changes,
            looked: None,
            over: Instant::now() + LONGEST,
            _permit: permit,
        })
    }

    /// Completes when it is time to look: at first, after a change, and now and
    /// then. False when the stream is over.
    async fn next(&mut self) -> bool {
        let engine = Arc::clone(self.site.engine());
        let over = self.over;
        tokio::select! {
            () = self.due() => {}
            () = engine.has_stopped() => return false,
            () = sleep_until(over) => return false,
        }
        self.looked = Some(Instant::now());
        true
    }

    async fn due(&mut self) {
        let Some(looked) = self.looked else { return };
        sleep_until(looked + PAUSE).await;
        // All that was announced meanwhile counts as one.
        if self.changes.take() {
            return;
        }
        tokio::select! {
            () = self.changes.next() => {}
            () = sleep_until(looked + LOOK) => {}
        }
    }
}

impl Changes {
    /// Completes with the next announcement.
    async fn next(&mut self) {
        match self {
            Self::Of(task) => task.changed().await,
            Self::Any(changes) => {
                if changes.next().await.is_none() {
                    // Whoever follows the store asks for another stream; here looking
                    // now and then will do.
                    *changes = stream::pending().boxed();
                }
            }
        }
    }

    /// Whether anything was announced since this was last asked.
    fn take(&mut self) -> bool {
        let mut any = false;
        // A stream that is always ready must not keep the thread.
        for _ in 0..10_000 {
            if self.next().now_or_never().is_none() {
                break;
            }
            any = true;
        }
        any
    }
}

/// Turns what is told into an answer.
fn respond(site: &Site, events: impl Stream<Item = Event> + Send + 'static) -> Response {
    // A browser's clock may be wrong.
    let now = Moment(site.engine().now());
    let clock = event("clock", &text(&json!({"now": now}))).retry(RETRY);
    let begin = stream::iter([clock]);
    let events = begin.chain(events).map(Ok::<_, Infallible>);
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect answers before they pass them on leave this one alone.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn event(name: &str, data: &str) -> Event {
    Event::default().event(name).data(data)
}

/// What was told last under each name, so that the same is not told again.
#[derive(Default)]
struct Told(HashMap<&'static str, String>);

impl Told {
    fn event(&mut self, name: &'static str, data: String) -> Option<Event> {
        if self.0.get(name) == Some(&data) {
            return None;
        }
        let event = event(name, &data);
        self.0.insert(name, data);
        Some(event)
    }

    /// What cannot be read at the moment; the next look tries again.
    fn trouble(&mut self, error: StoreError) -> Option<Event> {
        // What is told when it is over is told whole.
        self.0.retain(|name, _| *name == "trouble");
        let problem = Refusal::from(error);
        let data = text(&json!({"code": problem.code(), "message": problem.message()}));
        self.event("trouble", data)
    }
}

/// How it stands with the store, if that is another than before.
async fn told_health(site: &Site, told: &mut Told) -> Option<Event> {
    match state(site).await {
        Ok(health) => {
            told.0.remove("trouble");
            told.event("health", text(&health))
        }
        Err(error) => told.trouble(error),
    }
}

/// The events of the list: `health`, `tasks`, `trouble`.
pub(super) async fn tasks(
    State(site): State<Arc<Site>>,
    asked: Asked,
) -> Result<Response, Problem> {
    let list = List::new(&wanted(asked)?)?;
    let changes = Changes::Any(site.engine().store_changes());
    let pulse = Pulse::new(&site, changes)?;
    let events = stream::unfold(
        (pulse, list, Told::default()),
        |(mut pulse, mut list, mut told)| async move {
            if !pulse.next().await {
                return None;
            }
            let health = told_health(&pulse.site, &mut told).await;
            let tasks = match list.look(&pulse.site).await {
                Ok(frame) => frame.map(|frame| event("tasks", &frame)),
                Err(error) => told.trouble(error),
            };
            let events = stream::iter(health.into_iter().chain(tasks));
            Some((events, (pulse, list, told)))
        },
    );
    Ok(respond(&site, events.flatten()))
}

/// The events of a task: `health`, `task`, `gone`, `trouble`.
pub(super) async fn task(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = task_id(&id)?;
    let changes = Changes::Of(site.engine().task_changes(id));
    let pulse = Pulse::new(&site, changes)?;
    let events = stream::unfold(
        (pulse, Told::default()),
        move |(mut pulse, mut told)| async move {
            if !pulse.next().await {
                return None;
            }
            let health = told_health(&pulse.site, &mut told).await;
            let task = match detail(&pulse.site, id).await {
                Ok(Some(detail)) => told.event("task", detail),
                Ok(None) => told.event("gone", "{}".to_owned()),
                Err(error) => told.trouble(error),
            };
            let events = stream::iter(health.into_iter().chain(task));
            Some((events, (pulse, told)))
        },
    );
    Ok(respond(&site, events.flatten()))
}

/// The tasks of a stream, and what was told of them.
struct List {
    tool: Option<Arc<str>>,
    active: Vec<Status>,
    ended: Vec<Status>,
    begun: bool,
    told: HashMap<TaskId, String>,
    /// Those that had not ended.
    went_on: Vec<TaskId>,
}

/// What is different from what was told before.
#[derive(Serialize)]
struct Frame<'a> {
    /// All that have not ended, the newest first.
    active: &'a [TaskId],
    /// Not all of them are told.
    more_active: bool,
    /// New ones, and those that changed.
    rows: Vec<&'a RawValue>,
    /// Where the list of ended ones goes on, behind those that are told at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl List {
    fn new(wanted: &Wanted) -> Result<Self, Problem> {
        let statuses = wanted.statuses()?;
        let (ended, active) = statuses.into_iter().partition(|it| it.is_terminal());
        Ok(Self {
            tool: wanted.tool(),
            active,
            ended,
            begun: false,
            told: HashMap::new(),
            went_on: Vec::new(),
        })
    }

    /// Reads the tasks; none if all is as it was told.
    async fn look(&mut self, site: &Site) -> Result<Option<String>, StoreError> {
        let engine = site.engine();
        let first = !std::mem::replace(&mut self.begun, true);
        let tool = self.tool.as_ref();
        let active = engine.list_for_operators(tool, &self.active, None, MAX_ACTIVE);
        let (active, more_active) = active.await?;
        let ended = engine.list_for_operators(tool, &self.ended, None, MAX_ENDED);
        let (ended, next) = ended.await?;
        let left = self.left(site, &active, &ended).await?;

        let ids: Vec<TaskId> = active.iter().map(|view| view.record.id).collect();
        let views = active.iter().chain(&ended).chain(&left);
        let rows: HashMap<TaskId, String> = views
            .map(|view| (view.record.id, text(&Row::of(view))))
            .collect();
        let is_new = |(id, row): &(&TaskId, &String)| self.told.get(id) != Some(row);
        let changed: Vec<&String> = rows.iter().filter(is_new).map(|(_, row)| row).collect();
        let same = changed.is_empty() && ids == self.went_on;
        let frame = Frame {
            active: &ids,
            more_active: more_active.is_some(),
            rows: changed
                .into_iter()
                .filter_map(|row| serde_json::from_str(row).ok())
                .collect(),
            next: next.filter(|_| first).map(cursor),
        };
        let frame = (first || !same).then(|| text(&frame));
        self.told = rows;
        self.went_on = ids;
        Ok(frame)
    }

    /// Those that had not ended when they were told, and are in no list any more:
    /// they were created long ago, and have ended.
    async fn left(
        &self,
        site: &Site,
        active: &[View],
        ended: &[View],
    ) -> Result<Vec<View>, StoreError> {
        let listed = |id: &TaskId| active.iter().chain(ended).any(|it| it.record.id == *id);
        let mut left = Vec::new();
        for id in self.went_on.iter().filter(|id| !listed(id)) {
            if let Some(view) = site.engine().listed(*id).await?
                && self.ended.contains(&view.record.status)
            {
                left.push(view);
            }
        }
        Ok(left)
    }
}
