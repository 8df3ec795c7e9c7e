//! The spans of calls, attempts, steps and store calls.
//!
//! The fields `otel.*` and `error.type` are those that the OpenTelemetry layer of
//! `tracing` knows. No field has arguments, results, principals or keys.

use tracing::Span;
use tracing::field::Empty;

use super::otel;
use super::trace::TraceContext;
use crate::refusal::Refusal;
use crate::store::{Outcome, TaskRecord};

/// A call that creates or finds a task. Afterwards `trace` is the place of the
/// span, for those who go on with what it began.
pub(super) fn initiate(tool: &str, trace: &mut Option<TraceContext>) -> Span {
    let span = tracing::info_span!(
        "initiate",
        tool,
        trace_id = Empty,
        task_id = Empty,
        replayed = Empty,
        error.type = Empty,
        otel.name = Empty,
        otel.kind = Empty,
        otel.status_code = Empty,
    );
    otel::identify(&span, "initiate", tool, "server");
    settle_in(&span, trace);
    span
}

/// What the call of a span came to.
pub(super) fn initiated(span: &Span, accepted: Result<(&TaskRecord, bool), &Refusal>) {
    match accepted {
        Ok((record, replayed)) => {
            span.record("task_id", tracing::field::display(record.id));
            span.record("replayed", replayed);
        }
        Err(refusal) => fail(span, refusal.code()),
    }
}

/// An attempt of a task. It belongs to the trace of the call that created the
/// task, wherever and however much later it runs.
pub(super) fn attempt(record: &TaskRecord) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "attempt",
        tool = %record.tool,
        task_id = %record.id,
        attempt = record.attempt,
        trace_id = Empty,
        outcome = Empty,
        error.type = Empty,
        otel.name = Empty,
        otel.kind = Empty,
        otel.status_code = Empty,
    );
    otel::identify(&span, "attempt", &record.tool, "consumer");
    settle_in(&span, &mut origin(record));
    span
}

/// The place of the present span in a trace; else that of the call that created
/// the task.
pub(crate) fn place(record: &TaskRecord) -> Option<TraceContext> {
    otel::place(&Span::current()).or_else(|| origin(record))
}

/// The attempt of the present span ended so; with nothing that may be written
/// where the task is somebody else's by now.
pub(crate) fn attempt_ended(outcome: Option<&Outcome>) {
    let span = Span::current();
    match outcome {
        Some(outcome) => span.record("outcome", outcome.status().as_str()),
        None => span.record("outcome", "lost"),
    };
    if let Some(Outcome::Failed(failure)) = outcome {
        fail(&span, &failure.code);
    }
}

/// A recorded step of a task.
pub(crate) fn step(name: &str) -> Span {
    tracing::info_span!("step", step = name, otel.status_code = Empty)
}

/// The body of a step failed. What it said may be secret.
pub(crate) fn step_failed(span: &Span) {
    span.record("otel.status_code", "error");
}

/// A call of the store.
pub(super) fn store_call(verb: &'static str) -> Span {
    let span = tracing::debug_span!(
        "store",
        verb,
        otel.name = Empty,
        otel.kind = Empty,
        otel.status_code = Empty,
    );
    otel::identify(&span, "store", verb, "client");
    span
}

pub(super) fn store_failed(span: &Span) {
    span.record("otel.status_code", "error");
}

fn origin(record: &TaskRecord) -> Option<TraceContext> {
    record.origin.as_deref().and_then(TraceContext::of)
}

/// Makes a span part of a trace, which then is at the span.
fn settle_in(span: &Span, trace: &mut Option<TraceContext>) {
    if let Some(trace) = trace {
        otel::adopt(span, trace);
    }
    *trace = otel::place(span).or_else(|| trace.take());
    if let Some(trace) = trace {
        span.record("trace_id", trace.trace_id());
    }
}

fn fail(span: &Span, code: &str) {
    span.record("error.type", code);
    span.record("otel.status_code", "error");
}
