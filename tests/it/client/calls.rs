//! Calls through a tool's family, on a wire that holds.

use std::time::Duration;

use async_tool::client::{CallError, Status, TaskClient};
use async_tool::testing::TestServer;
use async_tool::{AsyncTools, Registry, Surface, async_tool};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::wire::Wire;
use crate::tools::{
    How, NapInput, NapTool, OddInput, OddTool, Rested, SharedRuns, SingleInput, SingleTool,
    WorkInput, WorkTool, all, start,
};

const HOUR: Duration = Duration::from_secs(3600);

fn nap(millis: u64) -> NapInput {
    NapInput {
        millis,
        stubborn: false,
    }
}

async fn client() -> (TestServer, TaskClient) {
    let server = start().await;
    let tasks = TaskClient::new(server.peer().clone());
    (server, tasks)
}

/// Count the letters of a word.
#[async_tool(names(
    initiate = "start_count",
    status = "check_count",
    cancel = "stop_count"
))]
async fn count(word: String) -> Result<Option<usize>, String> {
    if word.is_empty() {
        return Ok(None);
    }
    Ok(Some(word.len()))
}

/// Do nothing.
#[async_tool]
async fn nothing() {}

#[tokio::test(start_paused = true)]
async fn a_typed_call_has_the_functions_result() {
    let (_server, tasks) = client().await;
    let rested = tasks.call::<NapTool>(nap(100)).await.expect("completed");
    assert_eq!(rested, Rested { millis: 100 });
}

#[tokio::test(start_paused = true)]
async fn a_call_by_name_has_json() {
    let (_server, tasks) = client().await;
    let result = tasks.call_named("nap", json!({ "millis": 100 })).await;
    assert_eq!(result.expect("completed"), json!({ "millis": 100 }));
}

#[tokio::test(start_paused = true)]
async fn names_results_of_all_kinds_and_shared_tools_are_found() {
    for surface in [Surface::Family, Surface::Shared] {
        let registry = Registry::new().with(CountTool).with(NothingTool);
        let builder = AsyncTools::builder().registry(registry).surface(surface);
        let server = TestServer::start(builder).await;
        let tasks = TaskClient::new(server.peer().clone());
        let count = |word: &str| CountInput { word: word.into() };
        assert_eq!(
            tasks.call::<CountTool>(count("four")).await.unwrap(),
            Some(4)
        );
        assert_eq!(tasks.call::<CountTool>(count("")).await.unwrap(), None);
        tasks.call::<NothingTool>(NothingInput {}).await.unwrap();
        let nothing = tasks.call_named("nothing", json!({})).await.unwrap();
        assert_eq!(nothing, Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_does_not_publish_cannot_be_called() {
    let (_server, tasks) = client().await;
    let error = tasks.call_named("fly", json!({})).await.unwrap_err();
    assert!(matches!(error, CallError::NotPublished(tool) if tool == "fly"));
    let error = tasks.call_named("nap", json!(7)).await.unwrap_err();
    assert!(matches!(error, CallError::Arguments(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_has_the_servers_words() {
    let (_server, tasks) = client().await;
    let call = tasks.call_named("nap", json!({ "milis": 1 }));
    let CallError::Refused { task_id, failure } = call.await.unwrap_err() else {
        panic!("not refused");
    };
    assert_eq!(task_id, None);
    assert_eq!(failure.code, "invalid_arguments");
    assert!(failure.message.contains("did you mean `millis`"));
    assert!(failure.details.expect("details")["problems"].is_array());
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_says_why() {
    let (_server, tasks) = client().await;
    let call = tasks.call::<OddTool>(OddInput { how: How::Quota });
    // Its result would be no error to read: it cannot be read back.
    let mut task = call.start().await.expect("accepted");
    let last = task
        .progress()
        .map(Result::unwrap)
        .collect::<Vec<_>>()
        .await;
    assert_eq!(last.last().expect("an end").status, Status::Failed);
    let id = task.task_id().expect("an id").to_owned();

    let named = tasks.resume_named("odd", id.clone());
    let CallError::Failed { task_id, failure } = named.await.unwrap_err() else {
        panic!("not failed");
    };
    assert_eq!(task_id, Some(id));
    assert_eq!(failure.code, "quota");
    assert_eq!(failure.to_string(), "no quota left (quota)");
    assert!(failure.retryable);
    assert_eq!(failure.details, Some(json!({ "limit": 3 })));
    assert!(!format!("{failure:?}").contains("limit"), "may be secret");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_says_so() {
    let (_server, tasks) = client().await;
    let call = tasks.call::<NapTool>(nap(60_000));
    let mut task = call.start().await.expect("accepted");
    assert!(task.cancel("changed my mind").await.expect("told"));
    let CallError::Cancelled { task_id, reason } = task.result().await.unwrap_err() else {
        panic!("not cancelled");
    };
    assert_eq!(task_id.as_deref(), task.task_id());
    assert_eq!(reason, "changed my mind");
    assert!(task.cancel("again").await.expect("nothing to tell"));
}

#[tokio::test(start_paused = true)]
async fn a_wait_can_be_given_up_for_a_cancel() {
    let (_server, tasks) = client().await;
    let call = tasks.call::<NapTool>(nap(3_600_000));
    let mut task = call.start().await.expect("accepted");
    tokio::select! {
        ended = task.result() => panic!("{ended:?}"),
        () = sleep(Duration::from_secs(100)) => {}
    }
    task.cancel("that long").await.expect("told");
    let error = task.await.unwrap_err();
    assert!(matches!(error, CallError::Cancelled { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn progress_is_a_stream_from_the_beginning_to_the_end() {
    let (_server, tasks) = client().await;
    let tasks = tasks.with_refresh(Duration::from_millis(500));
    let call = tasks.call::<WorkTool>(WorkInput { units: 4 });
    let mut task = call.start().await.expect("accepted");
    let seen: Vec<_> = task.progress().try_collect().await.expect("answers");
    assert!(seen.len() > 12, "{}", seen.len());
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "news only");
    let fractions = seen.iter().filter_map(|snapshot| snapshot.fraction);
    assert!(fractions.is_sorted());
    let middle = &seen[seen.len() / 2];
    assert_eq!(middle.status, Status::Working);
    assert_eq!(middle.step.as_deref(), Some("work"));
    assert_eq!((middle.step_number, middle.step_count), (Some(2), Some(3)));
    assert_eq!(middle.total, Some(4));
    assert!(middle.message.as_deref().expect("told").starts_with("unit"));
    assert!(middle.eta.expect("known") <= Duration::from_secs(9));
    assert_eq!(seen.last().expect("the end").status, Status::Completed);
    assert!(task.next().await.is_none());
    assert_eq!(task.await.expect("completed"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_task_is_asked_about_as_its_server_likes_it() {
    let server = start().await;
    let wire = Wire::default();
    let tasks = wire.client(server.tools().clone());
    let began = Instant::now();
    let nap_an_hour = || tasks.call::<NapTool>(nap(3_600_000));
    nap_an_hour().await.expect("completed");
    assert!(
        began.elapsed() < HOUR + Duration::from_secs(1),
        "at its end"
    );
    let asked = wire.passed("nap_status").len();
    assert!(
        (79..=82).contains(&asked),
        "every 45 s, and not {asked} times"
    );

    let mut task = nap_an_hour().start().await.expect("accepted");
    while task.next().await.is_some() {}
    let asked = wire.passed("nap_status").len() - asked;
    assert!(
        (110..=140).contains(&asked),
        "every 30 s, and not {asked} times"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_wait_is_given_pauses() {
    let builder = crate::tools::builder().max_waiting_calls(0);
    let server = TestServer::start(builder).await;
    let wire = Wire::default();
    let tasks = wire.client(server.tools().clone());
    tasks
        .call::<NapTool>(nap(600_000))
        .await
        .expect("completed");
    let asked = wire.passed("nap_status");
    assert!(asked.len() < 40, "{}", asked.len());
    let pauses: Vec<_> = asked
        .windows(2)
        .map(|pair| pair[1].at - pair[0].at)
        .collect();
    assert!(pauses.iter().all(|pause| *pause >= Duration::from_secs(1)));
    let last: Vec<_> = pauses.iter().rev().take(5).collect();
    assert!(last.iter().any(|pause| **pause != *last[0]), "by chance");
}

#[tokio::test(start_paused = true)]
async fn a_task_is_resumed_by_its_id() {
    let (_server, tasks) = client().await;
    let call = tasks.call::<NapTool>(nap(5_000));
    let id = call.start().await.expect("accepted");
    let id = id.task_id().expect("an id").to_owned();
    // The handle is gone, and the task is not.
    let mut task = tasks.resume::<NapTool>(id);
    let first = task.next().await.expect("not ended").expect("answers");
    assert_eq!(first.status, Status::Working);
    assert_eq!(task.await.expect("completed"), Rested { millis: 5_000 });

    let error = tasks.resume::<NapTool>("0".repeat(32)).await.unwrap_err();
    assert!(matches!(error, CallError::NotFound { .. }), "{error}");
    assert_eq!(error.task_id(), Some("0".repeat(32).as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_ends_the_wait_and_not_the_task() {
    let (_server, tasks) = client().await;
    let began = Instant::now();
    let call = tasks.call::<NapTool>(nap(3_600_000));
    let limit = Duration::from_secs(100);
    let error = call.with_time_limit(limit).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 100);
    assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
    let id = error.task_id().expect("accepted").to_owned();
    let rested = tasks.resume::<NapTool>(id).await.expect("completed");
    assert_eq!(rested.millis, 3_600_000);
    assert_eq!(began.elapsed().as_secs(), 3600);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_the_same_key_is_the_same_call() {
    let runs = SharedRuns::default();
    let builder = AsyncTools::builder().registry(all()).state(runs.clone());
    let server = TestServer::start(builder).await;
    let tasks = TaskClient::new(server.peer().clone());
    let call = || tasks.call::<NapTool>(nap(10)).with_idempotency_key("night");
    let first = call().start().await.expect("accepted");
    let second = call().start().await.expect("accepted");
    assert_eq!(first.task_id(), second.task_id());
    second.await.expect("completed");
    assert_eq!(runs.count(), 1);
    tasks.call::<NapTool>(nap(10)).await.expect("completed");
    tasks.call::<NapTool>(nap(10)).await.expect("completed");
    assert_eq!(runs.count(), 3, "each has a key of its own");

    let other = tasks.call::<NapTool>(nap(11)).with_idempotency_key("night");
    let error = other.await.unwrap_err();
    let CallError::Refused { failure, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(failure.code, "idempotency_conflict");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_the_tasks_own() {
    let (_server, tasks) = client().await;
    let call = tasks.call::<NapTool>(nap(3_600_000));
    let error = call
        .with_max_wait(Duration::from_secs(9))
        .await
        .unwrap_err();
    let CallError::Failed { failure, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(failure.code, "timed_out");
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_tried_again_until_patience_is_over() {
    let (_server, tasks) = client().await;
    let call = |millis| tasks.call::<SingleTool>(SingleInput { millis });
    // One runs and one waits: there is no room for more.
    for millis in [20_000, 20_000] {
        call(millis).start().await.expect("accepted");
    }
    call(1).await.expect("there was room in time");

    for millis in [50_000, 50_000] {
        call(millis).start().await.expect("accepted");
    }
    let began = Instant::now();
    let hurried = tasks.clone().with_patience(Duration::from_secs(10));
    let input = SingleInput { millis: 1 };
    let error = hurried.call::<SingleTool>(input).await.unwrap_err();
    let CallError::Refused { failure, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(failure.code, "overloaded");
    assert!(began.elapsed() <= Duration::from_secs(10));
}
