//! A store that fails for a while, or for good.

use std::sync::Arc;
use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{MemoryStore, async_tool};
use futures_util::future::{join, join_all};
use serde_json::json;
use tokio::time::Instant;

use crate::flaky::Flaky;
use crate::tools::builder;

#[tokio::test(start_paused = true)]
async fn calls_are_refused_as_retryable_while_the_store_is_down() {
    let store = Flaky::new(MemoryStore::new());
    let server = TestServer::start(builder().store(store.clone())).await;
    store.set_down(true);
    for (tool, arguments) in [
        ("nap_initiate", json!({"millis": 1})),
        ("nap_status", json!({"task_id": "0".repeat(32)})),
        ("nap_cancel", json!({"task_id": "0".repeat(32)})),
    ] {
        let answer = server.call(tool, arguments).await;
        assert_eq!(
            answer.error_code(),
            Some("store_unavailable"),
            "{}",
            answer.text
        );
        assert_eq!(answer["error"]["retryable"], true);
        assert!(!answer.text.contains("secret-host"), "{}", answer.text);
    }
    store.set_down(false);
    let task = server.call("nap_initiate", json!({"millis": 1})).await;
    assert_eq!(server.finish("nap", task.id()).await["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn a_short_failure_costs_no_task() {
    let store = Flaky::new(MemoryStore::new());
    let server = TestServer::start(builder().store(store.clone())).await;
    let running = server.call("nap_initiate", json!({"millis": 5_000})).await;
    let queued = [
        server
            .call("single_initiate", json!({"millis": 3_000}))
            .await,
        server
            .call("single_initiate", json!({"millis": 3_000}))
            .await,
    ];
    store.set_down(true);
    tokio::time::sleep(Duration::from_secs(10)).await;
    store.set_down(false);
    assert_eq!(
        server.finish("nap", running.id()).await["status"],
        "completed"
    );
    for task in queued {
        assert_eq!(
            server.finish("single", task.id()).await["status"],
            "completed"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_5_a_worker_that_lost_its_lease_stops_and_writes_nothing() {
    let memory = MemoryStore::new();
    let flaky = Flaky::new(memory.clone());
    let lease = Duration::from_secs(15);
    let observer = TestServer::start(builder().store(memory).slots(0)).await;
    let worker = TestServer::start(builder().store(flaky.clone()).lease(lease)).await;
    let task = worker.call("nap_initiate", json!({"millis": 60_000})).await;
    let stubborn = json!({"millis": 60_000, "stubborn": true});
    let stubborn = worker.call("nap_initiate", stubborn).await;

    flaky.set_down(true);
    tokio::time::sleep(lease * 2).await;
    // It is back before its tasks would have ended, and must not end them.
    flaky.set_down(false);
    tokio::time::sleep(Duration::from_secs(60)).await;
    for task in [task, stubborn] {
        let end = observer
            .call("nap_status", json!({"task_id": task.id()}))
            .await;
        assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
        let own = worker
            .call("nap_status", json!({"task_id": task.id()}))
            .await;
        assert_eq!(own.structure, end.structure);
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_an_error_of_build() {
    let store = Flaky::new(MemoryStore::new());
    store.set_down(true);
    let error = builder().store(store).build().await.expect_err("down");
    assert!(
        error.to_string().contains("cannot be opened: nobody there"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_was_lost_is_given_back_and_runs_once() {
    let store = Flaky::new(MemoryStore::new());
    let (server, runs) = counted(store.clone()).await;
    let other = server
        .call("single_initiate", json!({"millis": 50_000}))
        .await;
    store.lose_next_answer();
    let keyed = json!({"millis": 10, "idempotency_key": "k"});
    let lost = server.call("nap_initiate", keyed.clone()).await;
    assert_eq!(lost.error_code(), Some("store_unavailable"));
    assert_eq!(runs.count(), 0);

    let found = server.call("nap_initiate", keyed).await;
    assert_eq!(found["replayed"], true);
    let end = server.finish("nap", found.id()).await;
    assert_eq!(end["status"], "completed", "{}", end.text);
    assert_eq!(runs.count(), 1);
    assert_eq!(
        server.finish("single", other.id()).await["status"],
        "completed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_claim_of_a_worker_that_does_nothing_else_is_given_back_too() {
    let store = Flaky::new(MemoryStore::new());
    let (server, runs) = counted(store.clone()).await;
    store.lose_next_answer();
    let keyed = json!({"millis": 10, "idempotency_key": "k"});
    let lost = server.call("nap_initiate", keyed.clone()).await;
    assert_eq!(lost.error_code(), Some("store_unavailable"));
    let found = server.call("nap_initiate", keyed).await;
    let end = server.finish("nap", found.id()).await;
    assert_eq!(end["status"], "completed", "{}", end.text);
    assert_eq!(runs.count(), 1);
}

/// A server on this store, and how often its tools were executed.
async fn counted(store: Flaky) -> (TestServer, crate::tools::SharedRuns) {
    let runs = crate::tools::SharedRuns::default();
    let builder = async_tool::AsyncTools::builder()
        .registry(crate::tools::all())
        .state(Arc::clone(&runs))
        .store(store);
    (TestServer::start(builder).await, runs)
}

#[tokio::test(start_paused = true)]
async fn invariant_7_what_ran_when_the_lease_was_lost_does_not_run_again() {
    let store = Flaky::new(MemoryStore::new());
    let (server, runs) = counted(store.clone()).await;
    let task = server
        .call("nap_initiate", json!({"millis": 3_600_000}))
        .await;
    store.set_down(true);
    tokio::time::sleep(Duration::from_secs(37)).await;
    store.set_down(false);
    // Renews the session's lease before anybody has found it dead.
    let next = server.call("nap_initiate", json!({"millis": 20_000})).await;
    assert_eq!(server.finish("nap", next.id()).await["status"], "completed");
    let end = server.finish("nap", task.id()).await;
    assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
    assert_eq!(runs.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lost_claim_is_found_however_busy_the_worker_is() {
    let store = Flaky::new(MemoryStore::new());
    let (server, _) = counted(store.clone()).await;
    store.lose_next_answer();
    let keyed = json!({"millis": 10, "idempotency_key": "k"});
    assert!(server.call("nap_initiate", keyed.clone()).await.is_error);
    // Each of these renews the lease, and reports nothing.
    for _ in 0..30 {
        server.call("nap_initiate", json!({"millis": 900})).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let found = server.call("nap_initiate", keyed).await;
    assert_eq!(found["status"], "completed", "{}", found.text);
}

#[tokio::test(start_paused = true)]
async fn invariant_5_a_task_that_was_taken_over_is_stopped() {
    let store = Flaky::new(MemoryStore::new());
    let (server, _) = counted(store.clone()).await;
    let task = server
        .call("nap_initiate", json!({"millis": 3_600_000}))
        .await;
    store.disown();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let end = server
        .call("nap_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
}

#[tokio::test(start_paused = true)]
async fn progress_whose_heartbeat_failed_is_sent_again() {
    let memory = MemoryStore::new();
    let store = Flaky::new(memory.clone());
    let observer = TestServer::start(builder().store(memory).slots(0)).await;
    let worker = TestServer::start(builder().store(store.clone())).await;
    let task = worker.call("work_initiate", json!({"units": 1})).await;
    store.set_down(true);
    tokio::time::sleep(Duration::from_millis(400)).await;
    store.set_down(false);
    tokio::time::sleep(Duration::from_millis(400)).await;
    let seen = observer
        .call("work_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(seen["progress"]["step"], "prepare", "{}", seen.text);
}

/// Answer at the end, however late.
#[async_tool(inline = "50s")]
async fn patient(millis: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    millis
}

/// A server that executes nothing, whose calls of `patient` are executed by
/// another one of the same memory. (A status call of this client asks for
/// progress, and so reads often whatever it is told.)
async fn front_and_back() -> (Flaky, TestServer, TestServer) {
    let memory = MemoryStore::new();
    let flaky = Flaky::new(memory.clone());
    let back = TestServer::start(builder().tool(PatientTool).store(memory)).await;
    let front = builder().tool(PatientTool).store(flaky.clone()).slots(0);
    (flaky, TestServer::start(front).await, back)
}

#[tokio::test(start_paused = true)]
async fn who_waits_reads_again_when_nobody_says_that_there_is_something_new() {
    let (store, front, _back) = front_and_back().await;
    store.silence();
    let started = Instant::now();
    let answer = front
        .call("patient_initiate", json!({"millis": 10_000}))
        .await;
    assert_eq!(answer["status"], "completed", "{}", answer.text);
    let took = started.elapsed();
    assert!(took <= Duration::from_millis(12_600), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn many_who_wait_do_not_read_at_the_same_moment() {
    const WAITERS: usize = 40;
    let (store, front, _back) = front_and_back().await;
    store.silence();
    let calls = (0..WAITERS).map(|_| front.call("patient_initiate", json!({"millis": 3_600_000})));
    let watch = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        store.take_reads();
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let mut reads = store.take_reads();
        assert!(reads.len() >= WAITERS, "{}", reads.len());
        reads.sort();
        let spread = reads[WAITERS - 1] - reads[0];
        assert!(spread >= Duration::from_millis(500), "{spread:?}");
    };
    // The calls are not waited for.
    tokio::select! {
        () = watch => {}
        _ = join_all(calls) => panic!("the tasks take an hour"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_changes_that_ended_is_followed_again() {
    let (store, front, _back) = front_and_back().await;
    assert_eq!(store.streams(), 1);
    let call = front.call("patient_initiate", json!({"millis": 1_000}));
    let (answer, ()) = join(call, async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        store.end_streams();
    })
    .await;
    assert_eq!(answer["status"], "completed", "{}", answer.text);
    assert_eq!(store.streams(), 2);
    // Told, and not found by reading again.
    let started = Instant::now();
    front
        .call("patient_initiate", json!({"millis": 1_000}))
        .await;
    assert!(started.elapsed() < Duration::from_millis(1_100));
}

#[tokio::test(start_paused = true)]
async fn what_happened_while_nobody_followed_is_looked_for() {
    let (store, front, _back) = front_and_back().await;
    let started = Instant::now();
    let call = front.call("patient_initiate", json!({"millis": 1_000}));
    let (answer, ()) = join(call, async {
        tokio::time::sleep(Duration::from_millis(950)).await;
        store.end_streams();
    })
    .await;
    assert_eq!(answer["status"], "completed", "{}", answer.text);
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(1_040) && took < Duration::from_millis(1_200),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_changes_that_ends_at_once_is_not_asked_for_all_the_time() {
    let (store, _front, _back) = front_and_back().await;
    store.end_streams_for_good();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let streams = store.streams();
    // 0.1, 0.2, … 3.2 seconds, and then 5 each.
    assert!((10..=20).contains(&streams), "{streams}");
}
