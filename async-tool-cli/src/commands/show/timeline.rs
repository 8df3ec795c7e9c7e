//! What the attempts of a task did and when.

use std::time::Duration;

use async_tool_runtime::store::{
    AttemptEnd, AttemptHistory, History, StepEnd, StepHistory, StepKind, Timestamp,
};
use serde::Serialize;

use crate::output::text::{clean, count, short};
use crate::view::Moment;

/// An attempt, to programs.
#[derive(Serialize)]
pub(super) struct AttemptView<'a> {
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<AttemptEnd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    steps: Vec<StepView<'a>>,
    omitted_steps: u32,
}

#[derive(Serialize)]
struct StepView<'a> {
    name: &'a str,
    kind: StepKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<StepEnd>,
}

pub(super) fn views(history: &History) -> Vec<AttemptView<'_>> {
    history.attempts.iter().map(view).collect()
}

fn view(attempt: &AttemptHistory) -> AttemptView<'_> {
    let steps = attempt.steps.iter().map(|step| StepView {
        name: &step.name,
        kind: step.kind,
        after_seconds: step.after.as_ref().map(Duration::as_secs_f64),
        took_seconds: step.took.as_ref().map(Duration::as_secs_f64),
        end: step.end,
    });
    AttemptView {
        attempt: attempt.number,
        worker: attempt.worker.as_deref(),
        started_at: attempt.started_at.map(Moment),
        took_seconds: attempt.took.as_ref().map(Duration::as_secs_f64),
        end: attempt.end,
        reason: attempt.reason.as_deref(),
        steps: steps.collect(),
        omitted_steps: attempt.omitted_steps,
    }
}

/// Lines for people, without control characters.
pub(super) fn lines(history: &History, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    if history.omitted > 0 {
        lines.push(omitted(history.omitted, "earlier attempt"));
    }
    for attempt in &history.attempts {
        lines.push(told(attempt, now));
        if attempt.omitted_steps > 0 {
            lines.push(format!(
                "  {}",
                omitted(attempt.omitted_steps, "earlier step")
            ));
        }
        lines.extend(attempt.steps.iter().map(step));
    }
    lines
}

fn omitted(number: u32, what: &str) -> String {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    format!("({} left out)", count(number, what))
}

fn told(attempt: &AttemptHistory, now: Timestamp) -> String {
    let mut line = format!("attempt {}", attempt.number);
    if let Some(started) = attempt.started_at {
        line.push_str(&format!(", {started}"));
    }
    if let Some(worker) = &attempt.worker {
        line.push_str(&format!(", worker {worker}"));
    }
    let took = match attempt.end {
        None => attempt.started_at.map(|started| now.since(started)),
        Some(_) => attempt.took,
    };
    if let Some(took) = took {
        line.push_str(&format!(", {}", short(took)));
    }
    line.push_str(": ");
    line.push_str(match attempt.end {
        None => "goes on",
        Some(AttemptEnd::Completed) => "completed",
        Some(AttemptEnd::Failed) => "failed",
        Some(AttemptEnd::Cancelled) => "cancelled",
        Some(AttemptEnd::Retried) => "another one follows",
        Some(AttemptEnd::Interrupted) => "interrupted",
        Some(_) => "ended",
    });
    if let Some(reason) = &attempt.reason {
        line.push_str(&format!(" ({reason})"));
    }
    clean(&line).into_owned()
}

/// `  +2m03s  compile, 41s`.
fn step(step: &StepHistory) -> String {
    let after = step.after.map_or_else(|| "?".to_owned(), short);
    let name = match step.kind {
        StepKind::Question => format!("question {}", step.name),
        StepKind::Recorded => format!("{} (recorded)", step.name),
        _ => step.name.to_string(),
    };
    let took = step
        .took
        .map_or_else(String::new, |took| format!(", {}", short(took)));
    let end = match step.end {
        Some(StepEnd::Done) => "",
        None => ", goes on",
        Some(StepEnd::Replayed) => ", from an earlier attempt",
        Some(StepEnd::Failed) => ", failed",
        Some(_) => ", ended",
    };
    clean(&format!("  {:>6}  {name}{took}{end}", format!("+{after}"))).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn history() -> History {
        serde_json::from_value(json!({ "omitted": 1, "attempts": [
            { "number": 2, "worker": "1a2b3c4d", "started_at": 1000, "took_ms": 125_000,
              "end": "retried", "reason": "no \u{1b}space", "omitted_steps": 2, "steps": [
                { "name": "fetch", "kind": "recorded", "after_ms": 100, "took_ms": 2000, "end": "done" },
                { "name": "1", "kind": "question", "after_ms": 65_000, "end": "failed" },
            ] },
            { "number": 3, "started_at": 200_000, "steps": [
                { "name": "fetch", "kind": "recorded", "after_ms": 0, "took_ms": 0, "end": "replayed" },
                { "name": "compile", "after_ms": 10 },
            ] },
        ] }))
        .expect("a history")
    }

    #[test]
    fn people_read_what_happened_when() {
        assert_eq!(
            lines(&history(), Timestamp(260_000)),
            [
                "(1 earlier attempt left out)",
                "attempt 2, 1970-01-01T00:00:01.000Z, worker 1a2b3c4d, 2m05s: another one follows \
                 (no \\u{1b}space)",
                "  (2 earlier steps left out)",
                "  +100ms  fetch (recorded), 2s",
                "  +1m05s  question 1, failed",
                "attempt 3, 1970-01-01T00:03:20.000Z, 1m00s: goes on",
                "     +0s  fetch (recorded), 0s, from an earlier attempt",
                "   +10ms  compile, goes on",
            ]
        );
    }

    #[test]
    fn programs_read_seconds() {
        let history = history();
        let views = serde_json::to_value(views(&history)).expect("JSON");
        assert_eq!(views[0]["attempt"], 2);
        assert_eq!(views[0]["took_seconds"], 125.0);
        assert_eq!(views[0]["end"], "retried");
        assert_eq!(views[0]["started_at"], "1970-01-01T00:00:01.000Z");
        assert_eq!(
            views[1]["steps"][1],
            json!({ "name": "compile", "kind": "progress", "after_seconds": 0.01 })
        );
    }
}
