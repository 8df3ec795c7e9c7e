//! Traces as OpenTelemetry exports them.

use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{
    AsyncTools, AsyncToolsBuilder, MemoryStore, Registry, Surface, TaskContext, TraceContext,
    async_tool,
};
use opentelemetry::trace::{SpanId, SpanKind, Status, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

use super::trace_context::PARENT;
use crate::raw::Raw;
use crate::raw_http::{Http, Mode, serve};

/// Spans that have not ended by then never will.
const PATIENCE: Duration = Duration::from_secs(30);

/// The trace of [`PARENT`].
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Tells where in the trace it is, after a step.
#[async_tool(on_interrupt = "retry")]
async fn trip(seconds: u64, task: &TaskContext) -> Result<String, async_tool::StepError> {
    tracing::info!("on the way");
    task.step("pack", || async { Ok(()) }).await?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let place = task.trace_context().map(TraceContext::traceparent);
    Ok(place.unwrap_or_default().to_owned())
}

/// Fails.
#[async_tool]
async fn stumble() -> Result<(), async_tool::ToolError> {
    Err(async_tool::ToolError::new("over a secret").with_code("stone"))
}

/// What this thread exports, for the rest of a test.
struct Exported {
    spans: InMemorySpanExporter,
    _provider: SdkTracerProvider,
    _guard: DefaultGuard,
}

impl Exported {
    fn capture() -> Self {
        let spans = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(spans.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        Self {
            spans,
            _provider: provider,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// The spans of this name, once so many have ended: a little after the answer
    /// that tells of it.
    async fn named(&self, name: &str, count: usize) -> Vec<SpanData> {
        // Real time, also where the clock is paused: it stands still here.
        let began = std::time::Instant::now();
        loop {
            let all = self.spans.get_finished_spans().expect("kept");
            let named = all.into_iter().filter(|span| span.name == name);
            let named: Vec<_> = named.collect();
            if named.len() >= count {
                assert_eq!(named.len(), count, "{name}");
                return named;
            }
            let found = named.len();
            assert!(
                began.elapsed() < PATIENCE,
                "{found} of {count} spans {name} have ended"
            );
            tokio::task::yield_now().await;
        }
    }

    async fn one(&self, name: &str) -> SpanData {
        self.named(name, 1).await.remove(0)
    }

    /// The one with this attribute.
    async fn with(&self, name: &str, count: usize, key: &str, value: &str) -> SpanData {
        let named = self.named(name, count).await;
        let found = named.into_iter().find(|span| attribute(span, key) == value);
        found.unwrap_or_else(|| panic!("no {name} with {key} = {value}"))
    }
}

fn attribute(span: &SpanData, key: &str) -> String {
    let found = span
        .attributes
        .iter()
        .find(|known| *known.key.as_str() == *key);
    found.map_or_else(String::new, |known| known.value.to_string())
}

fn builder(store: &MemoryStore) -> AsyncToolsBuilder {
    AsyncTools::builder()
        .registry(Registry::new().with(TripTool).with(StumbleTool))
        .surface([Surface::Family, Surface::Native])
        .store(store.clone())
}

fn caller() -> SpanId {
    SpanId::from_hex("00f067aa0ba902b7").expect("hexadecimal")
}

#[track_caller]
fn in_callers_trace(span: &SpanData) {
    assert_eq!(span.span_context.trace_id().to_string(), TRACE, "{span:?}");
}

/// Calls a tool with the caller's trace context; the id of the task.
async fn initiate(raw: &mut Raw, tool: &str, arguments: Value, parent: &str) -> String {
    let call = json!({
        "name": format!("{tool}_initiate"),
        "arguments": arguments,
        "_meta": {"traceparent": parent, "tracestate": "vendor=x"},
    });
    let answer = raw.request("tools/call", call).await;
    let id = answer["result"]["structuredContent"]["task_id"].as_str();
    id.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test(start_paused = true)]
async fn one_trace_goes_over_two_replicas() {
    let exported = Exported::capture();
    let store = MemoryStore::new();
    let server = builder(&store).slots(0).build().await.expect("builds");
    let worker = TestServer::start(builder(&store)).await;
    let mut raw = Raw::modern(server, &json!({}));
    let id = initiate(&mut raw, "trip", json!({"seconds": 5}), PARENT).await;
    let end = worker.finish("trip", &id).await;

    let initiate = exported.one("initiate trip").await;
    in_callers_trace(&initiate);
    assert_eq!(initiate.parent_span_id, caller());
    assert!(initiate.parent_span_is_remote);
    assert_eq!(initiate.span_kind, SpanKind::Server);
    assert_eq!(attribute(&initiate, "tool"), "trip");
    assert_eq!(attribute(&initiate, "task_id"), id);
    assert_eq!(attribute(&initiate, "replayed"), "false");
    assert_eq!(initiate.span_context.trace_state().get("vendor"), Some("x"));

    let attempt = exported.one("attempt trip").await;
    in_callers_trace(&attempt);
    assert_eq!(attempt.parent_span_id, initiate.span_context.span_id());
    assert!(attempt.parent_span_is_remote);
    assert_eq!(attempt.span_kind, SpanKind::Consumer);
    assert_eq!(attribute(&attempt, "tool"), "trip");
    assert_eq!(attribute(&attempt, "task_id"), id);
    assert_eq!(attribute(&attempt, "attempt"), "1");
    assert_eq!(attribute(&attempt, "outcome"), "completed");
    assert_eq!(attempt.span_context.trace_state().get("vendor"), Some("x"));
    let logged = |text: &str| attempt.events.iter().any(|event| event.name == text);
    assert!(logged("on the way"), "{:?}", attempt.events);

    // What the tool would pass on is its own place.
    let place = format!("00-{TRACE}-{}-01", attempt.span_context.span_id());
    assert_eq!(end["result"], place);

    let step = exported.one("step").await;
    in_callers_trace(&step);
    assert_eq!(step.parent_span_id, attempt.span_context.span_id());
    assert_eq!(attribute(&step, "step"), "pack");

    for (verb, parent) in [
        ("create", &initiate),
        ("record_step", &step),
        ("finish", &attempt),
    ] {
        let call = exported.one(&format!("store {verb}")).await;
        in_callers_trace(&call);
        assert_eq!(call.parent_span_id, parent.span_context.span_id(), "{verb}");
        assert_eq!(call.span_kind, SpanKind::Client);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_says_its_code_and_no_more() {
    let exported = Exported::capture();
    let tools = builder(&MemoryStore::new()).build().await.expect("builds");
    let mut raw = Raw::modern(tools, &json!({}));
    initiate(&mut raw, "stumble", json!({}), PARENT).await;
    let attempt = exported.one("attempt stumble").await;
    assert_eq!(attempt.status, Status::error(""));
    assert_eq!(attribute(&attempt, "error.type"), "stone");
    assert_eq!(attribute(&attempt, "outcome"), "failed");
    let all = format!("{:?}", attempt.attributes);
    assert!(!all.contains("secret"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_says_its_code() {
    let exported = Exported::capture();
    let tools = builder(&MemoryStore::new()).build().await.expect("builds");
    tools.shutdown().await;
    let mut raw = Raw::modern(tools, &json!({}));
    let call = json!({"name": "stumble_initiate", "arguments": {}});
    raw.request("tools/call", call).await;
    let initiate = exported.one("initiate stumble").await;
    assert_eq!(initiate.status, Status::error(""));
    assert_eq!(attribute(&initiate, "error.type"), "shutting_down");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_after_a_takeover_is_in_the_same_trace() {
    let exported = Exported::capture();
    let store = MemoryStore::new();
    let dies = builder(&store).build().await.expect("builds");
    let mut raw = Raw::modern(dies.clone(), &json!({}));
    let id = initiate(&mut raw, "trip", json!({"seconds": 60}), PARENT).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop((raw, dies));

    let worker = TestServer::start(builder(&store)).await;
    worker.finish("trip", &id).await;
    let initiate = exported.one("initiate trip").await;
    for number in ["1", "2"] {
        let attempt = exported.with("attempt trip", 2, "attempt", number).await;
        in_callers_trace(&attempt);
        assert_eq!(attempt.parent_span_id, initiate.span_context.span_id());
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_trace_context_is_not_the_callers() {
    let exported = Exported::capture();
    let server = TestServer::start(builder(&MemoryStore::new())).await;
    let mut raw = Raw::modern(server.tools().clone(), &json!({}));
    let malformed = PARENT.to_uppercase();
    let id = initiate(&mut raw, "trip", json!({"seconds": 1}), &malformed).await;
    server.finish("trip", &id).await;
    let initiate = exported.one("initiate trip").await;
    let attempt = exported.one("attempt trip").await;
    // Its parent is rmcp's span of the connection.
    assert!(!initiate.parent_span_is_remote);
    assert_ne!(initiate.span_context.trace_id().to_string(), TRACE);
    assert_eq!(
        attempt.span_context.trace_id(),
        initiate.span_context.trace_id()
    );
    assert_eq!(attempt.parent_span_id, initiate.span_context.span_id());
}

/// Real sockets and real time.
#[tokio::test]
async fn the_trace_context_comes_in_http_headers_too() {
    let exported = Exported::capture();
    let tools = builder(&MemoryStore::new()).build().await.expect("builds");
    let address = serve(tools, Mode::StatelessJson).await;
    let tasks = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    let mut http = Http::modern(address, &tasks).with_header("traceparent", PARENT);
    for (name, said) in [
        ("trip_initiate", Value::Null),
        // What the request itself says is nearer to its caller.
        (
            "trip",
            json!(PARENT.replace("00f067aa0ba902b7", "00000000000000aa")),
        ),
    ] {
        let mut call = json!({"name": name, "arguments": {"seconds": 0}});
        if !said.is_null() {
            call["_meta"] = json!({"traceparent": said});
        }
        let answer = http.request("tools/call", call).await;
        assert!(answer["error"].is_null(), "{answer}");
    }
    let initiates = exported.named("initiate trip", 2).await;
    let mut parents: Vec<_> = initiates.iter().map(|span| span.parent_span_id).collect();
    parents.sort_by_key(ToString::to_string);
    let said = SpanId::from_hex("00000000000000aa").expect("hexadecimal");
    assert_eq!(parents, [said, caller()]);
    for initiate in &initiates {
        in_callers_trace(initiate);
    }
}
