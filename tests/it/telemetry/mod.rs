//! What a server tells of itself.

mod alerts;
mod gauges;
mod metrics;
mod scrape;
mod trace_context;
#[cfg(feature = "opentelemetry")]
mod traces;
