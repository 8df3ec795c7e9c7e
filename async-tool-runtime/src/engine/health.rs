//! How a server is: for health checks, dashboards, people.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout};

use super::Engine;
use crate::store::{Stats, Store};

/// The store is asked at most once in this time, however often somebody asks
/// for the health.
const FRESH: Duration = Duration::from_secs(1);
/// A store that takes longer to answer is not reachable.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a server is, at one moment; see [`AsyncTools::health`](crate::AsyncTools::health).
///
/// As JSON, durations are numbers of seconds, and what is not known is absent.
/// Names of tools are all that it tells of
/// what is done here; nothing in it belongs to a caller.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether [`is_ready`](Self::is_ready): it is worth sending requests here.
    pub ready: bool,
    /// Whether [`is_live`](Self::is_live): there is something to wait for.
    pub live: bool,
    /// It is shutting down, and accepts no new tasks.
    pub draining: bool,
    /// The store.
    pub store: StoreHealth,
    /// What keeps this worker's tasks its own.
    pub lease: LeaseHealth,
    /// How many tasks this worker executes; those that wait for an answer too.
    pub running: usize,
    /// How many it executes at most.
    pub slots: usize,
    /// What is queued in the namespace. None while the store cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueHealth>,
    /// Notices in the namespace that have not been delivered, nor given up. None
    /// while the store cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_notices: Option<usize>,
    /// The circuit breakers of this worker that are not closed, by the names of
    /// their tools.
    pub circuits: Vec<CircuitHealth>,
}

/// How the store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoreHealth {
    /// Whether it answered.
    pub reachable: bool,
    /// How long it took to answer, or until it was given up.
    #[serde(rename = "latency_seconds", serialize_with = "seconds")]
    pub latency: Duration,
    /// Why it counts as not reachable, without anything that is secret: what the
    /// store said is in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

/// How the lease is that this worker holds for all its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeaseHealth {
    /// Whether there is one.
    pub state: LeaseState,
    /// How long ago it was renewed last: the longest time of any task. None where
    /// the state is [`LeaseState::None`].
    #[serde(
        rename = "renewed_seconds_ago",
        serialize_with = "seconds_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub renewed: Option<Duration>,
    /// How long it lasts from each renewal.
    #[serde(rename = "lasts_seconds", serialize_with = "seconds")]
    pub lasts: Duration,
}

/// Whether a worker holds a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeaseState {
    /// It executes nothing, and so needs none.
    None,
    /// It holds one.
    Held,
    /// It has not been renewed in time: tasks are being stopped, and others may
    /// take them over.
    Lost,
}

/// What is queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueHealth {
    /// How many tasks, in all.
    pub tasks: usize,
    /// How long the oldest has waited. None where nothing does.
    #[serde(
        rename = "oldest_seconds",
        serialize_with = "seconds_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub oldest: Option<Duration>,
    /// The queues of tools of which something is queued, by name.
    pub tools: Vec<ToolQueueHealth>,
}

/// What is queued of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ToolQueueHealth {
    /// The tool's name.
    pub tool: Arc<str>,
    /// How many tasks.
    pub tasks: usize,
    /// How long the oldest has waited.
    #[serde(rename = "oldest_seconds", serialize_with = "seconds")]
    pub oldest: Duration,
}

/// A circuit breaker that is not closed; see [`Circuit`](crate::Circuit).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CircuitHealth {
    /// The tool's name.
    pub tool: Arc<str>,
    /// What it does.
    pub state: CircuitState,
    /// How long it stays open. None where it is half-open.
    #[serde(
        rename = "open_for_seconds",
        serialize_with = "seconds_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub open_for: Option<Duration>,
}

/// What a circuit breaker does that is not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CircuitState {
    /// It lets nothing through.
    Open,
    /// It lets one attempt through at a time.
    HalfOpen,
}

impl Health {
    /// Whether it is worth sending requests here: the store answers, the lease is
    /// not lost, and the server is not shutting down. What an HTTP health check
    /// should answer 503 without.
    ///
    /// Open circuit breakers and long queues make a server no less ready: status
    /// calls and other tools are answered.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether there is something to wait for: all but a server that has shut
    /// down. A store that cannot be reached is no reason to start the process
    /// again, which would cost it what is running.
    pub fn is_live(&self) -> bool {
        self.live
    }
}

/// What the store said last.
#[derive(Debug, Default)]
pub(crate) struct Pulse(Arc<Mutex<Option<Reading>>>);

#[derive(Debug, Clone)]
struct Reading {
    at: Instant,
    latency: Duration,
    stats: Result<Arc<Stats>, &'static str>,
}

impl Pulse {
    /// What the store says of itself, not older than [`FRESH`]. The look at the
    /// store goes on if the future is dropped, so that there is one at a time.
    async fn read(&self, store: &Arc<dyn Store>) -> Reading {
        let (last, store) = (Arc::clone(&self.0), Arc::clone(store));
        let read = tokio::spawn(async move {
            let mut last: OwnedMutexGuard<Option<Reading>> = last.lock_owned().await;
            match &*last {
                Some(reading) if reading.at.elapsed() < FRESH => reading.clone(),
                _ => last.insert(Reading::take(&*store).await).clone(),
            }
        });
        let failed = |_| Reading::failed(Instant::now(), "the look at the task store failed");
        read.await.unwrap_or_else(failed)
    }
}

impl Reading {
    async fn take(store: &dyn Store) -> Self {
        let asked = Instant::now();
        match timeout(PATIENCE, store.stats()).await {
            Ok(Ok(stats)) => Self {
                at: Instant::now(),
                latency: asked.elapsed(),
                stats: Ok(Arc::new(stats)),
            },
            Ok(Err(error)) => {
                tracing::warn!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "the task store failed a health check"
                );
                Self::failed(asked, "the task store cannot be reached")
            }
            Err(_) => {
                tracing::warn!("the task store did not answer a health check in time");
                Self::failed(asked, "the task store did not answer in time")
            }
        }
    }

    fn failed(asked: Instant, error: &'static str) -> Self {
        Self {
            at: Instant::now(),
            latency: asked.elapsed(),
            stats: Err(error),
        }
    }
}

impl Engine {
    /// How this server is.
    pub(crate) async fn health(&self) -> Health {
        let reading = self.pulse.read(&self.store).await;
        let stats = reading.stats.as_ref().ok();
        let lease = self.lease_health();
        let draining = self.is_draining();
        Health {
            ready: stats.is_some() && lease.state != LeaseState::Lost && !draining,
            live: !self.is_stopped(),
            draining,
            store: StoreHealth {
                reachable: stats.is_some(),
                latency: reading.latency,
                error: reading.stats.as_ref().err().copied(),
            },
            lease,
            running: self.worker.all().len(),
            slots: self.config.slots,
            queue: stats.map(|stats| QueueHealth::of(stats)),
            pending_notices: stats.map(|stats| stats.notices),
            circuits: self.circuits.not_closed(),
        }
    }

    fn lease_health(&self) -> LeaseHealth {
        let lasts = self.worker.lease.duration;
        let confirmed = |live: &Arc<super::worker::Live>| {
            *live
                .confirmed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let oldest = self.worker.all().iter().map(confirmed).min();
        LeaseHealth::of(oldest, lasts)
    }
}

impl LeaseHealth {
    /// From when the task was confirmed that was not for the longest time; none:
    /// nothing runs.
    fn of(oldest: Option<Instant>, lasts: Duration) -> Self {
        let renewed = oldest.map(|at| at.elapsed());
        Self {
            state: match renewed {
                None => LeaseState::None,
                Some(ago) if ago < lasts => LeaseState::Held,
                Some(_) => LeaseState::Lost,
            },
            renewed,
            lasts,
        }
    }
}

impl QueueHealth {
    fn of(stats: &Stats) -> Self {
        Self {
            tasks: stats.queued(),
            oldest: stats.oldest_queued().map(|oldest| stats.at.since(oldest)),
            tools: stats
                .queues
                .iter()
                .map(|queue| ToolQueueHealth {
                    tool: Arc::clone(&queue.tool),
                    tasks: queue.queued,
                    oldest: stats.at.since(queue.oldest),
                })
                .collect(),
        }
    }
}

impl CircuitHealth {
    pub(super) fn open(tool: Arc<str>, until: Instant) -> Self {
        Self {
            tool,
            state: CircuitState::Open,
            open_for: Some(until.saturating_duration_since(Instant::now())),
        }
    }

    pub(super) fn half_open(tool: Arc<str>) -> Self {
        Self {
            tool,
            state: CircuitState::HalfOpen,
            open_for: None,
        }
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn seconds_if_any<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration
        .map(|duration| duration.as_secs_f64())
        .serialize(serializer)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_lost_when_it_was_not_renewed_for_as_long_as_it_lasts() {
        const LASTS: Duration = Duration::from_secs(15);
        const MOMENT: Duration = Duration::from_millis(1);
        let renewed = Instant::now();
        let state = |oldest| LeaseHealth::of(oldest, LASTS).state;
        assert_eq!(state(Some(renewed)), LeaseState::Held);
        advance(LASTS - MOMENT).await;
        assert_eq!(state(Some(renewed)), LeaseState::Held);
        advance(MOMENT).await;
        assert_eq!(state(Some(renewed)), LeaseState::Lost);
        assert_eq!(state(None), LeaseState::None);
        assert_eq!(LeaseHealth::of(Some(renewed), LASTS).renewed, Some(LASTS));
    }
}
