//! Durations and failures of each tool, from the newest tasks that have ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::ser::SerializeTuple;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::shapes::{Moment, seconds};
use crate::engine::Engine;
use crate::store::{Outcome, Stats, Status, StoreError, TaskRecord, Timestamp};

/// From how many tasks that have ended: the store keeps them, so that numbers
/// are the fleet's and survive restarts.
const WINDOW: usize = 500;
/// For how long what was computed is good enough.
const FRESH: Duration = Duration::from_secs(5);
/// Most points of a tool's plot.
const MAX_POINTS: usize = 300;

const ENDED: [Status; 3] = [Status::Completed, Status::Failed, Status::Cancelled];

/// What was computed last, for all who ask.
#[derive(Debug, Default)]
pub(super) struct Statistics(Mutex<Option<(Instant, Arc<str>)>>);

impl Statistics {
    /// The statistics as JSON. However many ask, the store is read once in a
    /// while.
    pub(super) async fn json(&self, engine: &Engine) -> Result<Arc<str>, StoreError> {
        let mut last = self.0.lock().await;
        if let Some((at, json)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(json));
        }
        let ended = engine.list_for_operators(None, &ENDED, None, WINDOW);
        let (views, _) = ended.await?;
        let stats = engine.stats().await?;
        let records: Vec<&TaskRecord> = views.iter().map(|view| &view.record).collect();
        let known = engine.catalog.iter().map(|entry| &*entry.name);
        let window = Window::of(known, &records, &stats);
        let json: Arc<str> = super::api::text(&window).into();
        *last = Some((Instant::now(), Arc::clone(&json)));
        Ok(json)
    }
}

#[derive(Debug, Serialize)]
struct Window<'a> {
    now: Moment,
    /// From so many tasks.
    tasks: usize,
    /// At most from so many.
    at_most: usize,
    tools: Vec<Tool<'a>>,
}

#[derive(Debug, Serialize)]
struct Tool<'a> {
    tool: &'a str,
    queued: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_queued_at: Option<Moment>,
    completed: usize,
    failed: usize,
    cancelled: usize,
    /// Of those that completed or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<Quantiles>,
    /// The newest tasks that were started, the oldest of them first.
    points: Vec<Point>,
}

/// Of the last attempts of tasks that completed or failed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Quantiles {
    p50: f64,
    p95: f64,
    max: f64,
}

/// A task that has ended: `[ended at, seconds of its last attempt, status]`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    at: Timestamp,
    took: f64,
    status: Status,
}

impl Serialize for Point {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(3)?;
        tuple.serialize_element(&Moment(self.at))?;
        tuple.serialize_element(&self.took)?;
        tuple.serialize_element(&self.status)?;
        tuple.end()
    }
}

impl<'a> Window<'a> {
    fn of(
        known: impl Iterator<Item = &'a str>,
        ended: &[&'a TaskRecord],
        stats: &'a Stats,
    ) -> Self {
        let mut tools: BTreeMap<&str, Tool<'_>> =
            known.map(|name| (name, Tool::new(name))).collect();
        let mut of = |name: &'a str, change: &dyn Fn(&mut Tool<'a>)| {
            change(tools.entry(name).or_insert_with(|| Tool::new(name)));
        };
        for queue in &stats.queues {
            of(&queue.tool, &|tool| {
                tool.queued = queue.queued;
                tool.oldest_queued_at = Some(Moment(queue.oldest));
            });
        }
        for record in ended {
            of(&record.tool, &|tool| tool.count(record));
        }
        let mut tools: Vec<_> = tools.into_values().collect();
        tools.iter_mut().for_each(Tool::conclude);
        Self {
            now: Moment(stats.at),
            tasks: ended.len(),
            at_most: WINDOW,
            tools,
        }
    }
}

impl<'a> Tool<'a> {
    fn new(tool: &'a str) -> Self {
        Self {
            tool,
            queued: 0,
            oldest_queued_at: None,
            completed: 0,
            failed: 0,
            cancelled: 0,
            failure_rate: None,
            duration_seconds: None,
            points: Vec::new(),
        }
    }

    fn count(&mut self, record: &TaskRecord) {
        match &record.outcome {
            Some(Outcome::Completed(_)) => self.completed += 1,
            Some(Outcome::Failed(_)) => self.failed += 1,
            Some(Outcome::Cancelled(_)) => self.cancelled += 1,
            None => return,
        }
        // What ended in the queue took no time.
        if let (Some(started), Some(at)) = (record.started_at, record.finished_at) {
            self.points.push(Point {
                at,
                took: seconds(at.since(started)),
                status: record.status,
            });
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for display")]
    fn conclude(&mut self) {
        let counted = self.completed + self.failed;
        self.failure_rate = (counted > 0).then(|| self.failed as f64 / counted as f64);
        let ran = self.points.iter();
        let ran = ran.filter(|point| point.status != Status::Cancelled);
        self.duration_seconds = Quantiles::of(ran.map(|point| point.took).collect());
        self.points.sort_by_key(|point| point.at);
        let surplus = self.points.len().saturating_sub(MAX_POINTS);
        self.points.drain(..surplus);
    }
}

impl Quantiles {
    /// By nearest rank: each is the duration of some task.
    fn of(mut durations: Vec<f64>) -> Option<Self> {
        durations.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let rank = (durations.len() * percent).div_ceil(100).max(1);
            durations.get(rank - 1).copied()
        };
        Some(Self {
            p50: rank(50)?,
            p95: rank(95)?,
            max: rank(100)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::{End, Epoch, NewTask, QueueStats, SessionId, TaskFailure};
    use crate::task::TaskId;

    const HOUR: Duration = Duration::from_secs(3600);

    fn ended(tool: &str, started: u64, took: u64, outcome: Outcome) -> TaskRecord {
        let new = NewTask::new(TaskId::random(), tool, "{}", HOUR, HOUR);
        let mut record = TaskRecord::admit(new, Timestamp(0));
        record.claim(SessionId::random(), Timestamp(started));
        let end = End::new(outcome, 1);
        record
            .finish(Epoch(1), end, Timestamp(started + took))
            .expect("it is ours");
        record
    }

    fn completed() -> Outcome {
        Outcome::Completed("1".into())
    }

    #[test]
    fn quantiles_are_durations_of_tasks() {
        assert_eq!(Quantiles::of(Vec::new()), None);
        let of = |count: u32| Quantiles::of((1..=count).rev().map(f64::from).collect());
        let quantiles = |p50, p95, max| Some(Quantiles { p50, p95, max });
        assert_eq!(of(1), quantiles(1.0, 1.0, 1.0));
        assert_eq!(of(2), quantiles(1.0, 2.0, 2.0));
        assert_eq!(of(100), quantiles(50.0, 95.0, 100.0));
    }

    #[test]
    fn tools_have_rates_durations_and_points() {
        let failure = || Outcome::Failed(Box::new(TaskFailure::new("busy", "no")));
        let mut queued_only = TaskRecord::admit(
            NewTask::new(TaskId::random(), "build", "{}", HOUR, HOUR),
            Timestamp(0),
        );
        queued_only.request_cancel(&"enough".into(), Timestamp(9));
        let records = [
            ended("build", 4000, 2000, completed()),
            ended("build", 1000, 1000, failure()),
            ended("build", 2000, 900_000, Outcome::Cancelled("enough".into())),
            queued_only,
        ];
        let records: Vec<_> = records.iter().collect();
        let mut stats = Stats::empty(Timestamp(10_000));
        stats.queues = vec![QueueStats::new("deploy", 3, Timestamp(7000))];
        let window = Window::of(["build", "idle"].into_iter(), &records, &stats);
        let json = serde_json::to_value(&window).expect("it is JSON");
        assert_eq!(
            json["tools"][0],
            json!({
                "tool": "build", "queued": 0, "completed": 1, "failed": 1, "cancelled": 2,
                "failure_rate": 0.5,
                "duration_seconds": {"p50": 1.0, "p95": 2.0, "max": 2.0},
                "points": [
                    ["1970-01-01T00:00:02.000Z", 1.0, "failed"],
                    ["1970-01-01T00:00:06.000Z", 2.0, "completed"],
                    ["1970-01-01T00:15:02.000Z", 900.0, "cancelled"],
                ],
            })
        );
        assert_eq!(
            json["tools"][1]["tool"], "deploy",
            "it has tasks, and no worker here"
        );
        assert_eq!(json["tools"][1]["queued"], 3);
        assert_eq!(json["tools"][2]["tool"], "idle");
        assert_eq!(json["tools"][2].get("failure_rate"), None);
    }

    #[test]
    fn points_are_bounded_and_the_newest_stay() {
        let record = |number| ended("build", number, 1, completed());
        let records: Vec<_> = (0..400).map(record).collect();
        let records: Vec<_> = records.iter().collect();
        let stats = Stats::empty(Timestamp(0));
        let window = Window::of(std::iter::empty(), &records, &stats);
        let points = &window.tools[0].points;
        assert_eq!(points.len(), MAX_POINTS);
        assert_eq!(points.last().map(|point| point.at), Some(Timestamp(400)));
    }
}
