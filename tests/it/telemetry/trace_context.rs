//! A caller's trace context without anybody who exports spans: it is passed on
//! as it came.

use async_tool::{AsyncTools, Registry, TaskContext, TraceContext, async_tool};
use serde_json::{Value, json};

use crate::raw::Raw;

pub(super) const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The headers that it would send.
#[async_tool]
async fn outgoing(task: &TaskContext) -> Vec<String> {
    let trace = task.trace_context();
    let headers = trace.into_iter().flat_map(TraceContext::headers);
    headers
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

/// Calls a tool that ends at once, and waits for its result.
async fn called_with(meta: Value) -> Value {
    let builder = AsyncTools::builder().registry(Registry::new().with(OutgoingTool));
    let mut raw = Raw::modern(builder.build().await.expect("builds"), &json!({}));
    let call = json!({"name": "outgoing_initiate", "arguments": {}, "_meta": meta});
    let task = raw.request("tools/call", call).await;
    let id = &task["result"]["structuredContent"]["task_id"];
    let wait = json!({"task_id": id, "wait_seconds": 30});
    let status = json!({"name": "outgoing_status", "arguments": wait});
    let end = raw.request("tools/call", status).await;
    end["result"]["structuredContent"]["result"].clone()
}

#[tokio::test]
async fn a_task_can_pass_on_the_trace_of_its_caller() {
    let meta = json!({"traceparent": PARENT, "tracestate": "vendor=x"});
    let parent = format!("traceparent: {PARENT}");
    let headers = called_with(meta).await;
    assert_eq!(headers, json!([parent, "tracestate: vendor=x"]));

    let meta = json!({"traceparent": PARENT, "tracestate": "no list"});
    assert_eq!(called_with(meta).await, json!([parent]));
}

#[tokio::test]
async fn a_malformed_trace_context_is_none() {
    for meta in [
        json!({}),
        json!({"traceparent": "00-0-0-0"}),
        json!({"traceparent": 7}),
        json!({"traceparent": PARENT.to_uppercase()}),
        json!({"traceparent": "x".repeat(100_000)}),
        json!({"tracestate": "vendor=x"}),
    ] {
        assert_eq!(called_with(meta.clone()).await, json!([]), "{meta}");
    }
}
