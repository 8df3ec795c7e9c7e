//! What a server tells of itself: metrics, spans, alerts. `docs/observability.md`
//! is for those who read them.

mod alert;
mod meters;
mod names;
#[cfg(feature = "opentelemetry")]
mod otel;
#[cfg(not(feature = "opentelemetry"))]
#[path = "no_otel.rs"]
mod otel;
mod settings;
pub(crate) mod spans;
mod store;
mod trace;
mod window;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Span;

pub use alert::{Alert, AlertEvent};
pub(crate) use meters::{CircuitGauge, Counted, Meters, Requeued};
pub(crate) use settings::Settings;
pub use trace::TraceContext;
pub(crate) use window::Window;

use crate::refusal::Refusal;
use crate::store::{Outcome, Store, TaskRecord};
use names::Names;

/// Tells of one server.
pub(crate) struct Telemetry {
    names: Names,
    pub(crate) meters: Meters,
    watch: alert::Watch,
}

impl Telemetry {
    /// The same store, whose calls are measured.
    pub(crate) fn measured(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(store::Measured::new(store, &self.names))
    }

    /// A call of a tool begins. Afterwards `trace` is its own place in the trace
    /// of its caller.
    pub(crate) fn initiating(&self, tool: &str, trace: &mut Option<TraceContext>) -> Initiating {
        Initiating {
            span: spans::initiate(tool, trace),
            began: Instant::now(),
        }
    }

    /// The call created a task, found one (`true`), or was refused.
    pub(crate) fn initiated(
        &self,
        tool: &str,
        call: &Initiating,
        accepted: Result<(&TaskRecord, bool), &Refusal>,
    ) {
        let meters = self.meters.tool(tool);
        match accepted {
            Ok((_, false)) => meters.initiated(call.began.elapsed()),
            Ok((_, true)) => meters.replayed(),
            Err(_) => {}
        }
        spans::initiated(&call.span, accepted);
    }

    /// An attempt of a task begins. It counts as running until the guard is
    /// dropped.
    pub(crate) fn attempt(&self, record: &TaskRecord) -> (Span, Counted) {
        let meters = self.meters.tool(&record.tool);
        if let (1, Some(started_at)) = (record.attempt, record.started_at) {
            meters.waited(started_at.since(record.created_at));
        }
        (spans::attempt(record), meters.started())
    }

    /// A task ended, so long after it was accepted. `counts`: a failure is one
    /// of those that an alert is about.
    pub(crate) fn ended(&self, tool: &str, outcome: &Outcome, took: Duration, counts: bool) {
        self.meters.tool(tool).ended(outcome, took);
        let success = match outcome {
            Outcome::Completed(_) => true,
            Outcome::Failed(_) => !counts,
            // Nothing failed that somebody stopped.
            Outcome::Cancelled(_) => return,
        };
        self.watch.ended(tool, success, Instant::now());
    }

    /// Looks what time has changed; to be called every few seconds.
    pub(crate) fn look(&self) {
        self.watch.look(Instant::now());
    }
}

/// A call that is about to create a task.
#[derive(Debug)]
pub(crate) struct Initiating {
    pub(crate) span: Span,
    began: Instant,
}
