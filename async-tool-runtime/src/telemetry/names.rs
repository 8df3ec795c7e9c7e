//! The metrics: their names, units and meanings. `docs/observability.md` has the
//! same list, and a test compares the two.

use std::sync::Arc;

use metrics::{
    Counter, Gauge, Histogram, Label, Unit, describe_counter, describe_gauge, describe_histogram,
};

/// What a metric measures.
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) meaning: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal: $meaning:literal;)*) => {
        $(pub(super) const $constant: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            meaning: $meaning,
        };)*

        /// All of them.
        pub(crate) const ALL: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    TASKS_INITIATED = Counter "tasks_initiated_total": "Tasks accepted.";
    REPLAYS = Counter "replays_total":
        "Calls answered with a task that was there already, by its key or its arguments.";
    CALLS_REFUSED = Counter "calls_refused_total": "Tool calls refused, by code.";
    INITIATE_DURATION = Histogram "initiate_duration_seconds":
        "From a call that creates a task until the task is durable.";
    ATTEMPTS_STARTED = Counter "attempts_started_total": "Executions of tasks begun.";
    ATTEMPT_DURATION = Histogram "attempt_duration_seconds": "How long executions of tasks took.";
    QUEUE_WAIT = Histogram "queue_wait_seconds":
        "From the acceptance of a task until its first execution.";
    TASKS_ENDED = Counter "tasks_ended_total":
        "Tasks ended, by outcome and by the code of the failure.";
    TASK_DURATION = Histogram "task_duration_seconds":
        "From the acceptance of a task until its end, by outcome.";
    REQUEUES = Counter "requeues_total": "Tasks queued again after an execution, by cause.";
    TAKEOVERS = Counter "takeovers_total":
        "Tasks taken from workers that had died, by what became of them.";
    TASKS_RUNNING = Gauge "tasks_running": "Executions under way in this worker.";
    TASKS_QUEUED = Gauge "tasks_queued": "Tasks queued in the namespace, for all workers.";
    QUEUE_OLDEST = Gauge "queue_oldest_age_seconds":
        "For how long the oldest queued task has been there.";
    STATUS_CALLS = Counter "status_calls_total":
        "Reads of tasks by clients; early ones came sooner than advised.";
    CALLS_WAITING = Gauge "calls_waiting": "Calls that wait for a change of their task.";
    STORE_DURATION = Histogram "store_call_duration_seconds":
        "How long calls of the store took, by verb and outcome.";
    ALERTS = Counter "alerts_total": "Times that the failure rate of a tool rose above its limit.";
    ALERT_ACTIVE = Gauge "alert_active":
        "1 while the failure rate of a tool is above its limit, else 0.";
    CIRCUIT_STATE = Gauge "circuit_state":
        "Circuit breaker of a tool in this worker: 0 closed, 1 half-open, 2 open.";
    WEBHOOK_DELIVERIES = Counter "webhook_deliveries_total":
        "Tries to deliver a webhook, by event and outcome.";
}

impl Metric {
    /// By the conventions of Prometheus the name ends with it.
    pub(crate) fn unit(&self) -> Unit {
        if self.name.ends_with("_seconds") {
            Unit::Seconds
        } else {
            Unit::Count
        }
    }
}

/// Hands out the metrics of one server to the recorder that is installed now.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: Arc<str>,
}

impl Names {
    pub(super) fn new(prefix: impl Into<Arc<str>>) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// Tells the recorder what all metrics mean.
    pub(super) fn describe(&self) {
        for metric in ALL {
            let (name, unit, meaning) = (self.full(metric), metric.unit(), metric.meaning);
            match metric.kind {
                Kind::Counter => describe_counter!(name, unit, meaning),
                Kind::Gauge => describe_gauge!(name, unit, meaning),
                Kind::Histogram => describe_histogram!(name, unit, meaning),
            }
        }
    }

    pub(super) fn counter(&self, metric: &Metric, labels: Vec<Label>) -> Counter {
        debug_assert_eq!(metric.kind, Kind::Counter);
        metrics::counter!(self.full(metric), labels)
    }

    pub(super) fn gauge(&self, metric: &Metric, labels: Vec<Label>) -> Gauge {
        debug_assert_eq!(metric.kind, Kind::Gauge);
        metrics::gauge!(self.full(metric), labels)
    }

    pub(super) fn histogram(&self, metric: &Metric, labels: Vec<Label>) -> Histogram {
        debug_assert_eq!(metric.kind, Kind::Histogram);
        metrics::histogram!(self.full(metric), labels)
    }

    fn full(&self, metric: &Metric) -> String {
        format!("{}_{}", self.prefix, metric.name)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use metrics::{Key, KeyName, Metadata, Recorder, SharedString};

    use super::*;

    type Described = (Kind, String, Option<Unit>, String);

    /// Keeps what it is told of metrics, and none of their values.
    #[derive(Default)]
    struct Descriptions(Mutex<Vec<Described>>);

    impl Descriptions {
        fn keep(&self, kind: Kind, name: &KeyName, unit: Option<Unit>, text: &SharedString) {
            let described = (kind, name.as_str().to_owned(), unit, text.to_string());
            self.0.lock().expect("no panic").push(described);
        }
    }

    impl Recorder for Descriptions {
        fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
            self.keep(Kind::Counter, &name, unit, &text);
        }

        fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
            self.keep(Kind::Gauge, &name, unit, &text);
        }

        fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
            self.keep(Kind::Histogram, &name, unit, &text);
        }

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn the_recorder_is_told_what_all_metrics_mean_and_in_which_units() {
        let recorder = Descriptions::default();
        metrics::with_local_recorder(&recorder, || Names::new("shop").describe());
        let described = recorder.0.into_inner().expect("no panic");
        let expected = |metric: &&Metric| {
            let is_time = metric.name.ends_with("_seconds");
            let unit = if is_time { Unit::Seconds } else { Unit::Count };
            let name = format!("shop_{}", metric.name);
            (metric.kind, name, Some(unit), metric.meaning.to_owned())
        };
        assert_eq!(described, ALL.iter().map(expected).collect::<Vec<_>>());
    }

    #[test]
    fn the_documentation_lists_all_metrics() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/observability.md");
        let page = std::fs::read_to_string(page).expect("the page is there");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let rows: Vec<Vec<&str>> = rows
            .map(|row| row.split('|').map(str::trim).collect())
            .filter(|cells: &Vec<&str>| ["counter", "gauge", "histogram"].contains(&cells[2]))
            .collect();
        for (metric, cells) in ALL.iter().zip(&rows) {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            let unit = metric.unit().as_str();
            let name = format!("`{}`", metric.name);
            assert_eq!(
                [cells[1], cells[2], cells[3], cells[5]],
                [&*name, &*kind, unit, metric.meaning]
            );
        }
        assert_eq!(rows.len(), ALL.len());
    }

    #[test]
    fn names_are_like_those_of_prometheus() {
        for metric in ALL {
            let is_counter = metric.kind == Kind::Counter;
            assert_eq!(
                metric.name.ends_with("_total"),
                is_counter,
                "{}",
                metric.name
            );
            let is_histogram = metric.kind == Kind::Histogram;
            assert!(
                !is_histogram || metric.unit() == Unit::Seconds,
                "{}",
                metric.name
            );
        }
    }
}
