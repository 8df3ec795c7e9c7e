//! What operators count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_default_local_recorder,
};

use super::*;

const DELIVERIES: &str = "mcp_async_webhook_deliveries_total";

/// Keeps counters, and nothing else.
#[derive(Default)]
struct Counters(Mutex<BTreeMap<Key, Arc<AtomicU64>>>);

impl Counters {
    /// How many messages there were, by event and outcome.
    fn deliveries(&self) -> Vec<(String, String, u64)> {
        let counters = self.0.lock().expect("no panic");
        let deliveries = counters.iter().filter(|(key, _)| key.name() == DELIVERIES);
        let mut found: Vec<_> = deliveries
            .map(|(key, count)| {
                let labels: BTreeMap<_, _> = key
                    .labels()
                    .map(|label| (label.key(), label.value().to_owned()))
                    .collect();
                let count = count.load(Ordering::SeqCst);
                (labels["event"].clone(), labels["outcome"].clone(), count)
            })
            .collect();
        found.sort();
        found
    }
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.0.lock().expect("no panic");
        let counter = counters.entry(key.clone()).or_default();
        Counter::from_arc(Arc::clone(counter))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(start_paused = true)]
async fn each_try_is_counted_by_event_and_outcome() {
    let counters = Counters::default();
    let _guard = set_default_local_recorder(&counters);
    let wire = Wire::new(|post| {
        let is_end = post.body["type"] == "task.completed";
        match post.id.ends_with("_good") {
            true => Reply::Status(200),
            false if is_end => Reply::Status(500),
            false => Reply::Status(410),
        }
    });
    let (store, namespace) = store().await;
    let hooks = webhooks()
        .endpoint(Endpoint::new("good", "https://good.example.com/"))
        .endpoint(Endpoint::new("bad", "https://bad.example.com/"))
        .pauses([Duration::from_secs(40)])
        .give_up_after(MINUTE);
    let server = TestServer::start(wire.builder(hooks).store(store)).await;
    let id = done(&server).await;
    settled(&namespace, &id).await;
    let cancelled = server
        .call("sleep_initiate", json!({"seconds": 3600}))
        .await;
    let cancel = json!({"task_id": cancelled.id(), "reason": "enough"});
    server.call("sleep_cancel", cancel).await;
    settled(&namespace, cancelled.id()).await;

    let counted = |event: &str, outcome: &str, count| (event.into(), outcome.into(), count);
    assert_eq!(
        counters.deliveries(),
        [
            counted("task.cancelled", "delivered", 1),
            counted("task.cancelled", "given_up", 1),
            counted("task.completed", "delivered", 1),
            // At once, after 40 to 48 seconds, and at the end of the minute.
            counted("task.completed", "failed", 2),
            counted("task.completed", "given_up", 1),
        ]
    );
}
