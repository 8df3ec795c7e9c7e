//! The metrics, read by a parser that is not the exporter's.

use std::time::Duration;

use serde_json::Value;

use crate::fixture::Fixture;
use crate::install::clients;
use crate::process::run;

/// How long the script may take, interpreter and all.
const LIMIT: Duration = Duration::from_secs(60);

/// What was scraped after one task of `slow_compute` had completed and one was
/// cancelled.
struct Scrape(Vec<Value>);

impl Scrape {
    #[track_caller]
    fn family(&self, name: &str) -> &Value {
        let found = self.0.iter().find(|family| family["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} among {:#?}", self.0))
    }

    /// The sample of this name and these labels.
    #[track_caller]
    fn value(&self, family: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.family(family)["samples"].as_array().expect("a list");
        let found = samples.iter().find(|sample| {
            let mut wanted = labels.iter();
            sample[0] == name && wanted.all(|(label, value)| sample[1][label] == *value)
        });
        let sample = found.unwrap_or_else(|| panic!("no {name} {labels:?} in {samples:#?}"));
        sample[2].as_f64().expect("a number")
    }
}

#[test]
fn prometheus_reads_the_metrics() {
    let Some(clients) = clients() else { return };
    let server = Fixture::start();
    let mut command = clients.script("scrape.py");
    let output = run(command.arg(server.url()), LIMIT).stdout();
    let lines = output.lines().map(serde_json::from_str);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>().expect("lines of JSON");
    let families = lines.into_iter().filter(|line| line["part"] == "scrape");
    let scrape = Scrape(families.collect());

    // By the parser's convention the name of a counter is without `_total`.
    for (name, kind) in [
        ("mcp_async_tasks_initiated", "counter"),
        ("mcp_async_tasks_ended", "counter"),
        ("mcp_async_attempts_started", "counter"),
        ("mcp_async_status_calls", "counter"),
        ("mcp_async_tasks_running", "gauge"),
        ("mcp_async_tasks_queued", "gauge"),
        ("mcp_async_calls_waiting", "gauge"),
        ("mcp_async_alert_active", "gauge"),
        ("mcp_async_initiate_duration_seconds", "histogram"),
        ("mcp_async_queue_wait_seconds", "histogram"),
        ("mcp_async_task_duration_seconds", "histogram"),
        ("mcp_async_store_call_duration_seconds", "histogram"),
    ] {
        let family = scrape.family(name);
        assert_eq!(family["type"], kind, "{name}");
        assert!(
            !family["help"].as_str().unwrap_or_default().is_empty(),
            "{name}"
        );
    }

    let slow = ("tool", "slow_compute");
    let (completed, cancelled) = (("outcome", "completed"), ("outcome", "cancelled"));
    let ended = |outcome| {
        let name = "mcp_async_tasks_ended_total";
        scrape.value("mcp_async_tasks_ended", name, &[slow, outcome])
    };
    assert_eq!((ended(completed), ended(cancelled)), (1.0, 1.0));
    let initiated = "mcp_async_tasks_initiated_total";
    let initiated = scrape.value("mcp_async_tasks_initiated", initiated, &[slow]);
    assert_eq!(initiated, 2.0);

    let duration = "mcp_async_task_duration_seconds";
    let of_completed = |suffix: &str, more: &[(&str, &str)]| {
        let labels = [&[slow, completed], more].concat();
        scrape.value(duration, &format!("{duration}{suffix}"), &labels)
    };
    assert_eq!(of_completed("_count", &[]), 1.0);
    assert!(of_completed("_sum", &[]) >= 1.0, "it takes a second");
    assert_eq!(of_completed("_bucket", &[("le", "+Inf")]), 1.0);
    assert_eq!(of_completed("_bucket", &[("le", "0.1")]), 0.0);
}
