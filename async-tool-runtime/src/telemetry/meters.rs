//! What is counted and measured, and where it is told.
//!
//! Every label has few values: tools of this server, and words of this crate.
//! What callers and authors choose freely (ids, principals, keys, an author's
//! codes) is no label.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Label};

use super::names::{self, Names};
use crate::error::DEFAULT_CODE;
use crate::store::{Outcome, Stats};

/// The codes of failed tasks that are ours; every other one is an author's, and
/// is counted as [`DEFAULT_CODE`].
const FAILURE_CODES: [&str; 11] = [
    DEFAULT_CODE,
    "cancelled",
    "incompatible_arguments",
    "incompatible_step",
    "input_declined",
    "input_dismissed",
    "interrupted",
    "invalid_result",
    "panicked",
    "result_too_large",
    "timed_out",
];

/// The metrics of one server.
pub(crate) struct Meters {
    names: Names,
    tools: BTreeMap<Arc<str>, ToolMeters>,
    /// For tasks of tools that this server does not have, once there is one.
    other: OnceLock<ToolMeters>,
    waiting: Gauge,
}

/// The metrics of one tool, ready to be used: what happens often looks nothing
/// up.
pub(crate) struct ToolMeters {
    initiated: Counter,
    replayed: Counter,
    initiate: Histogram,
    attempts: Counter,
    attempt: Histogram,
    queue_wait: Histogram,
    completed: Ended,
    cancelled: Ended,
    failed: Histogram,
    failures: [Counter; FAILURE_CODES.len()],
    running: Gauge,
    queued: Gauge,
    oldest: Gauge,
    status: Counter,
    early_status: Counter,
}

struct Ended {
    tasks: Counter,
    duration: Histogram,
}

/// Why a task was queued again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Requeued {
    /// An error that is worth another try.
    Retry,
    Shutdown,
    /// Its worker lost the store for longer than its lease.
    LeaseLost,
}

/// Tells the state of a circuit breaker.
#[derive(Debug)]
pub(crate) struct CircuitGauge(Gauge);

impl CircuitGauge {
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self(Gauge::noop())
    }

    pub(crate) fn closed(&self) {
        self.0.set(0.0);
    }

    pub(crate) fn half_open(&self) {
        self.0.set(1.0);
    }

    pub(crate) fn open(&self) {
        self.0.set(2.0);
    }
}

/// Keeps a gauge one higher while it exists, however its holder ends.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    fn in_gauge(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Meters {
    /// The metrics of these tools, told to the recorder that is installed now.
    pub(super) fn new(names: Names, tools: &[Arc<str>]) -> Self {
        names.describe();
        Self {
            tools: tools
                .iter()
                .map(|tool| (Arc::clone(tool), ToolMeters::new(&names, tool)))
                .collect(),
            other: OnceLock::new(),
            waiting: names.gauge(&names::CALLS_WAITING, Vec::new()),
            names,
        }
    }

    pub(crate) fn tool(&self, tool: &str) -> &ToolMeters {
        // A label without a value is one that is not there.
        let other = || ToolMeters::new(&self.names, &Arc::from(""));
        let known = self.tools.get(tool);
        known.unwrap_or_else(|| self.other.get_or_init(other))
    }

    /// A call waits, until the guard is dropped.
    pub(crate) fn waiting(&self) -> Counted {
        Counted::in_gauge(&self.waiting)
    }

    /// A call was refused; of which tool is not always known.
    pub(crate) fn refused(&self, tool: Option<&str>, code: &'static str) {
        let labels = vec![
            self.label(tool.unwrap_or_default()),
            Label::new("code", code),
        ];
        self.names
            .counter(&names::CALLS_REFUSED, labels)
            .increment(1);
    }

    /// A client read a task; `early`: sooner than it was advised to.
    pub(crate) fn status_call(&self, tool: &str, early: bool) {
        let meters = self.tool(tool);
        let calls = if early {
            &meters.early_status
        } else {
            &meters.status
        };
        calls.increment(1);
    }

    /// A task was queued again after an attempt.
    pub(crate) fn requeued(&self, tool: &str, cause: Requeued) {
        let cause = match cause {
            Requeued::Retry => "retry",
            Requeued::Shutdown => "shutdown",
            Requeued::LeaseLost => "lease_lost",
        };
        let labels = vec![self.label(tool), Label::new("cause", cause)];
        self.names.counter(&names::REQUEUES, labels).increment(1);
    }

    /// A task was taken from a worker that had died; it has ended, or is queued
    /// again.
    pub(crate) fn taken_over(&self, tool: &str, ended: bool) {
        let outcome = if ended { "interrupted" } else { "requeued" };
        let labels = vec![self.label(tool), Label::new("outcome", outcome)];
        self.names.counter(&names::TAKEOVERS, labels).increment(1);
    }

    /// Where the circuit breaker of a tool tells its state.
    pub(crate) fn circuit(&self, tool: &str) -> CircuitGauge {
        let labels = vec![self.label(tool)];
        CircuitGauge(self.names.gauge(&names::CIRCUIT_STATE, labels))
    }

    /// Somebody tried to deliver a webhook.
    #[expect(dead_code, reason = "for webhooks")]
    pub(crate) fn webhook(&self, event: &'static str, outcome: &'static str) {
        let labels = vec![Label::new("event", event), Label::new("outcome", outcome)];
        let tries = self.names.counter(&names::WEBHOOK_DELIVERIES, labels);
        tries.increment(1);
    }

    /// What is queued in the namespace.
    pub(crate) fn queues(&self, stats: &Stats) {
        for (tool, meters) in &self.tools {
            let queue = stats.queues.iter().find(|queue| queue.tool == *tool);
            let queued = queue.map_or(0, |queue| queue.queued);
            let age = queue.map_or(Duration::ZERO, |queue| stats.at.since(queue.oldest));
            #[expect(clippy::cast_precision_loss, reason = "no queue is that long")]
            meters.queued.set(queued as f64);
            meters.oldest.set(age);
        }
    }

    /// The label of a tool: one of this server's, or none.
    fn label(&self, tool: &str) -> Label {
        match self.tools.get_key_value(tool) {
            Some((name, _)) => tool_label(name),
            None => Label::new("tool", ""),
        }
    }
}

impl ToolMeters {
    fn new(names: &Names, tool: &Arc<str>) -> Self {
        let plain = || vec![tool_label(tool)];
        let with = |more: &[(&'static str, &'static str)]| {
            let more = more.iter().map(|(key, value)| Label::new(*key, *value));
            plain().into_iter().chain(more).collect::<Vec<_>>()
        };
        let tasks = |outcome, code| {
            let labels = with(&[("outcome", outcome), ("code", code)]);
            names.counter(&names::TASKS_ENDED, labels)
        };
        let duration =
            |outcome| names.histogram(&names::TASK_DURATION, with(&[("outcome", outcome)]));
        let ended = |outcome| Ended {
            tasks: tasks(outcome, ""),
            duration: duration(outcome),
        };
        let status = |early| names.counter(&names::STATUS_CALLS, with(&[("early", early)]));
        Self {
            initiated: names.counter(&names::TASKS_INITIATED, plain()),
            replayed: names.counter(&names::REPLAYS, plain()),
            initiate: names.histogram(&names::INITIATE_DURATION, plain()),
            attempts: names.counter(&names::ATTEMPTS_STARTED, plain()),
            attempt: names.histogram(&names::ATTEMPT_DURATION, plain()),
            queue_wait: names.histogram(&names::QUEUE_WAIT, plain()),
            completed: ended("completed"),
            cancelled: ended("cancelled"),
            failed: duration("failed"),
            failures: FAILURE_CODES.map(|code| tasks("failed", code)),
            running: names.gauge(&names::TASKS_RUNNING, plain()),
            queued: names.gauge(&names::TASKS_QUEUED, plain()),
            oldest: names.gauge(&names::QUEUE_OLDEST, plain()),
            status: status("false"),
            early_status: status("true"),
        }
    }

    /// A call created a task, and it took so long.
    pub(super) fn initiated(&self, took: Duration) {
        self.initiated.increment(1);
        self.initiate.record(took);
    }

    /// A call found its task.
    pub(super) fn replayed(&self) {
        self.replayed.increment(1);
    }

    /// An attempt begins. It runs until the guard is dropped.
    pub(super) fn started(&self) -> Counted {
        self.attempts.increment(1);
        Counted::in_gauge(&self.running)
    }

    /// The first attempt of a task began after so long.
    pub(super) fn waited(&self, queued: Duration) {
        self.queue_wait.record(queued);
    }

    /// An attempt took so long, whatever came of it.
    pub(crate) fn attempt_ended(&self, took: Duration) {
        self.attempt.record(took);
    }

    /// A task ended so long after it was accepted.
    pub(super) fn ended(&self, outcome: &Outcome, took: Duration) {
        match outcome {
            Outcome::Completed(_) => self.completed.count(took),
            Outcome::Cancelled(_) => self.cancelled.count(took),
            Outcome::Failed(failure) => {
                let code = FAILURE_CODES.iter().position(|code| *code == failure.code);
                // The first one is for all others.
                self.failures[code.unwrap_or(0)].increment(1);
                self.failed.record(took);
            }
        }
    }
}

impl Ended {
    fn count(&self, took: Duration) {
        self.tasks.increment(1);
        self.duration.record(took);
    }
}

fn tool_label(tool: &Arc<str>) -> Label {
    Label::new("tool", Arc::clone(tool))
}
