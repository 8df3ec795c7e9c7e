//! Spans as OpenTelemetry has them, where its layer is installed.

use opentelemetry::trace::{SpanContext, TraceContextExt, TraceState};
use opentelemetry::{Context, SpanId, TraceFlags, TraceId};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::trace::TraceContext;

/// Gives a span its name and kind.
pub(super) fn identify(span: &Span, what: &str, of: &str, kind: &'static str) {
    if !span.is_disabled() {
        span.record("otel.name", format!("{what} {of}"));
        span.record("otel.kind", kind);
    }
}

/// Makes a span the child of somebody else's.
pub(super) fn adopt(span: &Span, trace: &TraceContext) {
    if let Some(remote) = span_context(trace) {
        let parent = Context::new().with_remote_span_context(remote);
        // Without the layer, or where a filter leaves the span out, there is
        // nothing whose parent it could be.
        let _ = span.set_parent(parent);
    }
}

/// The place of a span itself; none where nobody exports it.
pub(super) fn place(span: &Span) -> Option<TraceContext> {
    let context = span.context();
    let span = context.span();
    let place = span.span_context();
    let flags = place.trace_flags() & TraceFlags::SAMPLED;
    let parent = format!(
        "00-{}-{}-{:02x}",
        place.trace_id(),
        place.span_id(),
        flags.to_u8()
    );
    let state = place.trace_state().header();
    // The ids of a context without a span are zeros, which name no trace.
    TraceContext::read(&parent, (!state.is_empty()).then_some(&*state))
}

fn span_context(trace: &TraceContext) -> Option<SpanContext> {
    let flags = u8::from_str_radix(trace.flags(), 16).ok()?;
    let state = trace.tracestate().unwrap_or_default();
    Some(SpanContext::new(
        TraceId::from_hex(trace.trace_id()).ok()?,
        SpanId::from_hex(trace.span_id()).ok()?,
        TraceFlags::new(flags),
        true,
        state.parse::<TraceState>().unwrap_or_default(),
    ))
}
