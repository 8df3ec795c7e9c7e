//! Lost answers, broken connections, servers that are replaced.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_tool::client::{CallError, TaskClient};
use async_tool::testing::TestServer;
use async_tool::{AsyncTools, MemoryStore};
use tokio::time::{Instant, sleep};

use super::wire::Wire;
use crate::tools::{NapInput, NapTool, SharedRuns, all};

fn nap(millis: u64) -> NapInput {
    NapInput {
        millis,
        stubborn: false,
    }
}

struct Scene {
    server: TestServer,
    runs: SharedRuns,
    wire: Wire,
}

impl Scene {
    async fn new() -> Self {
        let runs = SharedRuns::default();
        let builder = AsyncTools::builder().registry(all()).state(runs.clone());
        Self {
            server: TestServer::start(builder).await,
            runs,
            wire: Wire::default(),
        }
    }

    fn client(&self) -> TaskClient {
        self.wire.client(self.server.tools().clone())
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_cost_time_and_nothing_else() {
    let scene = Scene::new().await;
    let tasks = scene.client();
    for tool in ["tools/list", "nap_initiate", "nap_status"] {
        scene.wire.lose_answer(tool);
    }
    let rested = tasks.call::<NapTool>(nap(100_000)).await;
    rested.expect("completed");
    assert_eq!(scene.wire.passed("nap_initiate").len(), 2);
    assert_eq!(scene.runs.count(), 1);

    let call = tasks.call::<NapTool>(nap(1_000_000));
    let mut task = call.start().await.expect("accepted");
    scene.wire.lose_answer("nap_cancel");
    assert!(task.cancel("enough").await.expect("told"));
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_replaced() {
    let scene = Scene::new().await;
    let tasks = scene.client();
    let call = tasks.call::<NapTool>(nap(600_000));
    let task = tokio::spawn(call.into_future());
    for _ in 0..5 {
        sleep(Duration::from_secs(50)).await;
        scene.wire.cut();
    }
    task.await.expect("no panic").expect("completed");
    assert_eq!(scene.runs.count(), 1);
    assert_eq!(scene.wire.connections(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_before_the_answer_is_replaced_too() {
    let scene = Scene::new().await;
    let tasks = scene.client();
    scene.wire.lose_answer("nap_initiate");
    let call = tasks.call::<NapTool>(nap(1_000));
    let task = tokio::spawn(call.into_future());
    sleep(Duration::from_secs(1)).await;
    scene.wire.cut();
    task.await.expect("no panic").expect("completed");
    assert_eq!(scene.wire.passed("nap_initiate").len(), 2);
    assert_eq!(scene.runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn many_calls_share_a_connection_and_the_next_one() {
    let scene = Scene::new().await;
    let tasks = scene.client();
    let call = |millis| tokio::spawn(tasks.call::<NapTool>(nap(millis)).into_future());
    let calls: Vec<_> = (100..140).map(|seconds| call(seconds * 1000)).collect();
    sleep(Duration::from_secs(60)).await;
    scene.wire.cut();
    for call in calls {
        call.await.expect("no panic").expect("completed");
    }
    assert_eq!(scene.wire.connections(), 2);
    assert_eq!(scene.runs.count(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_waited_for_until_patience_is_over() {
    let scene = Scene::new().await;
    let tasks = scene.client();
    let call = tasks.call::<NapTool>(nap(600_000));
    let mut task = call.start().await.expect("accepted");
    scene.wire.set_unreachable(true);
    scene.wire.cut();
    let began = Instant::now();
    let error = task.result().await.unwrap_err();
    let took = began.elapsed().as_secs();
    assert!((105..=121).contains(&took), "{took}");
    assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
    assert!(error.to_string().contains("nobody there"), "{error}");
    assert_eq!(error.task_id(), task.task_id());

    scene.wire.set_unreachable(false);
    task.result().await.expect("completed");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_waited_for_until_patience_is_over() {
    let scene = Scene::new().await;
    let tasks = scene.client();
    let call = tasks.call::<NapTool>(nap(600_000));
    let mut task = call.start().await.expect("accepted");
    scene.wire.set_silent(true);
    let began = Instant::now();
    let error = task.result().await.unwrap_err();
    assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
    // The first trouble is known after a minute, and what has begun when
    // patience is over is not cut short.
    assert!(began.elapsed() < Duration::from_secs(60 + 120 + 60));
    assert!(scene.wire.connections() > 2, "a silent one is given up");
}

#[tokio::test(start_paused = true)]
async fn patience_does_not_grow_with_the_number_of_calls() {
    let scene = Scene::new().await;
    let tasks = scene.client();
    scene.wire.set_silent(true);
    let began = Instant::now();
    let call = |_| tokio::spawn(tasks.call::<NapTool>(nap(1)).into_future());
    let calls: Vec<_> = (0..100).map(call).collect();
    for call in calls {
        let error = call.await.expect("no panic").unwrap_err();
        assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(15 + 120 + 15));
}

#[tokio::test(start_paused = true)]
async fn a_single_connection_is_not_replaced_and_its_tasks_go_on() {
    let scene = Scene::new().await;
    let service = scene.wire.connect(scene.server.tools().clone()).await;
    let tasks = TaskClient::new(service.expect("connects"));
    let call = tasks.call::<NapTool>(nap(600_000));
    let mut task = call.start().await.expect("accepted");
    let waiting = async {
        let error = task.result().await.unwrap_err();
        assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
        error.task_id().expect("accepted").to_owned()
    };
    let cut = async {
        sleep(Duration::from_secs(10)).await;
        scene.wire.cut();
    };
    let began = Instant::now();
    let (id, ()) = tokio::join!(waiting, cut);
    assert_eq!(began.elapsed().as_secs(), 10, "at once");
    let next = scene.client().resume::<NapTool>(id);
    next.await.expect("completed");
    assert_eq!(scene.runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn to_drop_the_client_closes_its_connection() {
    let scene = Scene::new().await;
    let service = scene.wire.connect(scene.server.tools().clone()).await;
    let service = service.expect("connects");
    let peer = service.peer().clone();
    let tasks = TaskClient::new(service);
    let task = tasks
        .call::<NapTool>(nap(1))
        .start()
        .await
        .expect("accepted");
    drop(tasks);
    assert!(!peer.is_transport_closed(), "the handle needs it");
    drop(task);
    while !peer.is_transport_closed() {
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_client_connects_again_if_it_can() {
    let scene = Scene::new().await;
    let tasks = scene.client();
    tasks.close().await;
    let mut task = tasks
        .call::<NapTool>(nap(600_000))
        .start()
        .await
        .expect("accepted");
    let closing = async {
        sleep(Duration::from_secs(10)).await;
        tasks.close().await;
    };
    let (ended, ()) = tokio::join!(task.result(), closing);
    ended.expect("completed");
    assert_eq!(scene.wire.connections(), 2);

    let service = scene.wire.connect(scene.server.tools().clone()).await;
    let tasks = TaskClient::new(service.expect("connects"));
    tasks.call::<NapTool>(nap(1)).await.expect("completed");
    tasks.close().await;
    let error = tasks.call::<NapTool>(nap(1)).await.unwrap_err();
    assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_next_server_on_the_same_store_goes_on() {
    let store = MemoryStore::new();
    let runs = SharedRuns::default();
    let builder = || {
        AsyncTools::builder()
            .registry(all())
            .state(runs.clone())
            .store(store.clone())
    };
    let first = TestServer::start(builder().slots(0)).await;
    let wire = Wire::default();
    let present = Arc::new(Mutex::new(first.tools().clone()));
    let to_present = {
        let (wire, present) = (wire.clone(), Arc::clone(&present));
        TaskClient::connecting(move || {
            let server = present.lock().expect("no panic").clone();
            let wire = wire.clone();
            async move { wire.connect(server).await }
        })
    };
    let call = to_present.call::<NapTool>(nap(1_000));
    let task = tokio::spawn(call.into_future());
    sleep(Duration::from_secs(20)).await;
    // It says that it stops, and then it is gone.
    first.tools().shutdown().await;
    sleep(Duration::from_secs(1)).await;
    wire.set_unreachable(true);
    wire.cut();
    sleep(Duration::from_secs(5)).await;
    let second = TestServer::start(builder()).await;
    *present.lock().expect("no panic") = second.tools().clone();
    wire.set_unreachable(false);
    let rested = task.await.expect("no panic").expect("completed");
    assert_eq!(rested.millis, 1_000);
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_cancels_nothing() {
    let scene = Scene::new().await;
    let tasks = scene.client();
    let call = tasks.call::<NapTool>(nap(60_000)).with_idempotency_key("k");
    let given_up = tokio::time::timeout(Duration::from_secs(5), call.into_future()).await;
    assert!(given_up.is_err());
    let again = tasks.call::<NapTool>(nap(60_000)).with_idempotency_key("k");
    again.await.expect("completed");
    assert_eq!(scene.runs.count(), 1);
    let withdrawn = scene.wire.passed("notifications/cancelled");
    assert_eq!(withdrawn.len(), 1, "the request that waited, not the task");
}
