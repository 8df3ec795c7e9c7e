//! A worker that loses its lease, or does not hear of it in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{AsyncTools, MemoryStore, Registry, async_tool};
use serde_json::json;

use crate::flaky::Flaky;

/// How many bodies go on at this moment, how many did at most, and how many
/// began.
#[derive(Clone, Default)]
struct Bodies(Arc<[AtomicUsize; 3]>);

struct Body(Bodies);

impl Bodies {
    fn begin(&self) -> Body {
        let now = self.0[0].fetch_add(1, Ordering::SeqCst) + 1;
        self.0[1].fetch_max(now, Ordering::SeqCst);
        self.0[2].fetch_add(1, Ordering::SeqCst);
        Body(self.clone())
    }

    fn counts(&self) -> [usize; 3] {
        [0, 1, 2].map(|index| self.0[index].load(Ordering::SeqCst))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.0.0[0].fetch_sub(1, Ordering::SeqCst);
    }
}

/// Go on for an hour; it may be started again.
#[async_tool(on_interrupt = "retry")]
async fn again(bodies: &Bodies) {
    let _body = bodies.begin();
    tokio::time::sleep(Duration::from_secs(3600)).await;
}

/// Block a thread.
#[async_tool]
async fn block(millis: u64, bodies: &Bodies) {
    let _body = bodies.begin();
    std::thread::sleep(Duration::from_millis(millis));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_claims_its_own_task_again_stops_the_earlier_attempt_first() {
    let (memory, bodies) = (MemoryStore::new(), Bodies::default());
    let flaky = Flaky::new(memory.clone());
    let builder = || {
        AsyncTools::builder()
            .registry(Registry::new().with(AgainTool))
            .state(bodies.clone())
    };
    let _reaper = TestServer::start(builder().store(memory).slots(0)).await;
    let worker = TestServer::start(builder().store(flaky.clone())).await;
    worker.call("again_initiate", json!({})).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    // Long enough for the other one to take the task over, and too short for
    // this one to give it up.
    flaky.set_hanging(true);
    tokio::time::sleep(Duration::from_millis(13_100)).await;
    flaky.set_hanging(false);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(bodies.counts(), [1, 1, 2], "[now, at most, begun]");
}

#[tokio::test(start_paused = true)]
async fn invariant_5_a_claim_whose_answer_comes_too_late_starts_nothing() {
    assert_eq!(late_claim(1).await, [1, 1, 1], "[now, at most, begun]");
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_comes_too_late_does_not_end_a_later_one_of_the_same_worker() {
    let [now, most, _] = late_claim(50).await;
    assert_eq!([now, most], [1, 1]);
}

/// How many bodies there are if a worker learns a minute late what it has
/// claimed.
async fn late_claim(slots: usize) -> [usize; 3] {
    let (memory, bodies) = (MemoryStore::new(), Bodies::default());
    let flaky = Flaky::new(memory.clone());
    let builder = || {
        AsyncTools::builder()
            .registry(Registry::new().with(AgainTool))
            .state(bodies.clone())
    };
    let late = TestServer::start(builder().store(flaky.clone()).slots(slots)).await;
    flaky.set_late(true);
    let call = late.call("again_initiate", json!({}));
    let rest = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // It has claimed and does not know; it is taken for dead, and then tells
        // the store again and again that it lives.
        let heir = TestServer::start(builder().store(memory).slots(1)).await;
        flaky.set_hanging(true);
        tokio::time::sleep(Duration::from_secs(40)).await;
        flaky.set_hanging(false);
        tokio::time::sleep(Duration::from_secs(20)).await;
        flaky.set_late(false);
        heir
    };
    let (_, _heir) = tokio::join!(call, rest);
    tokio::time::sleep(Duration::from_secs(60)).await;
    bodies.counts()
}

/// A server whose store was away for longer than its lease while a body
/// blocked its thread.
async fn lost_while_blocked(bodies: &Bodies, arguments: serde_json::Value) -> (TestServer, String) {
    let flaky = Flaky::default();
    let tools = AsyncTools::builder()
        .registry(Registry::new().with(BlockTool))
        .state(bodies.clone())
        .store(flaky.clone())
        .lease(Duration::from_millis(600));
    let server = TestServer::connect(tools.build().await.expect("builds")).await;
    let task = server.call("block_initiate", arguments).await;
    flaky.set_down(true);
    tokio::time::sleep(Duration::from_millis(1000)).await;
    flaky.set_down(false);
    (server, task.id().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_task_whose_body_cannot_be_stopped_ends_for_its_caller() {
    let bodies = Bodies::default();
    let (server, id) = lost_while_blocked(&bodies, json!({"millis": 5000})).await;
    let arguments = json!({"task_id": id, "wait_seconds": 3});
    let end = server.call("block_status", arguments).await;
    assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
    assert_eq!(bodies.counts(), [1, 1, 1], "its body goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invariant_7_what_ran_while_the_lease_was_lost_is_not_given_back_as_never_begun() {
    let bodies = Bodies::default();
    let (server, id) = lost_while_blocked(&bodies, json!({"millis": 3000})).await;
    let end = server.finish("block", &id).await;
    assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
    tokio::time::sleep(Duration::from_millis(3000)).await;
    assert_eq!(bodies.counts(), [0, 1, 1]);
}
