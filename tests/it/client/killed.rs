//! A server process that is killed in the middle of a task, and started again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_tool::client::{Snapshot, Status, TaskClient};
use tokio::time::{Instant, sleep, timeout};

use crate::crash::arena::Scene;
use crate::crash::client::Target;
use crate::crash::host::{Process, Starting};
use crate::crash::ledger::{Event, Ledger};
use crate::crash::tools::{STARTS, StagedInput, StagedTool};

const END: Duration = Duration::from_secs(60);
/// As often as the task may be interrupted.
const KILLS: usize = STARTS as usize - 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_followed_through_kills_of_its_server() {
    check(false, |process| Target::Stream(process.address)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_followed_through_kills_over_http() {
    check(true, |process| Target::Modern(process.address)).await;
}

/// Starts one task, kills its server as often as the task may be interrupted,
/// and starts the next, elsewhere each time.
async fn check(http: bool, at: fn(&Process) -> Target) {
    let scene = Scene::new();
    let mut host = scene.host();
    host.http = http;
    let ledger = host.ledger();
    let mut process = host.start().await;

    let target = Arc::new(Mutex::new(at(&process)));
    let present = Arc::clone(&target);
    let tasks = TaskClient::connecting(move || {
        let target = *present.lock().expect("no panic");
        async move { target.connect().await.map_err(|_| "nobody there") }
    })
    .with_backoff(Duration::from_millis(20), Duration::from_millis(200))
    .with_refresh(Duration::from_millis(100))
    .with_time_limit(END);

    let input = StagedInput {
        number: 7,
        millis: 2_000,
    };
    let mut task = tasks
        .call::<StagedTool>(input)
        .start()
        .await
        .expect("accepted");
    let following = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Some(snapshot) = task.next().await {
            seen.push(snapshot.expect("it goes on"));
        }
        (seen, task.await.expect("completed"))
    });
    for kill in 1..=KILLS {
        reached(&ledger, kill).await;
        Starting::from(process).kill(&ledger).await;
        process = host.start().await;
        *target.lock().expect("no panic") = at(&process);
    }
    let (seen, result) = timeout(END, following)
        .await
        .expect("in time")
        .expect("no panic");
    // The sum of its steps: 7, 8, 9 and 10.
    assert_eq!(result, 34);
    let Some(Snapshot {
        status, attempt, ..
    }) = seen.last()
    else {
        panic!("nothing seen");
    };
    assert_eq!((*status, *attempt), (Status::Completed, STARTS));
    let mut began = ledger.lines();
    began.retain(|line| line.event == Event::Began);
    assert_eq!(began.len(), STARTS as usize, "of one task");
    assert!(began.iter().all(|line| line.task == began[0].task));
}

/// Waits until so many steps are recorded.
async fn reached(ledger: &Ledger, steps: usize) {
    let end = Instant::now() + END;
    let recorded = || {
        let lines = ledger.lines().into_iter();
        lines
            .filter(|line| line.event == Event::StepRecorded)
            .count()
    };
    while recorded() < steps {
        assert!(Instant::now() < end, "{:?}", ledger.lines());
        sleep(Duration::from_millis(5)).await;
    }
}
