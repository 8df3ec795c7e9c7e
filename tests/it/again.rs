//! Tasks that are started again: retries, restarts, recorded steps.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_tool::testing::TestServer;
use async_tool::{
    AsyncTools, AsyncToolsBuilder, MemoryStore, Registry, TaskContext, ToolError, async_tool,
};
use serde_json::json;
use tokio::time::Instant;

/// What the tools did, in order.
type Journal = Arc<Mutex<Vec<String>>>;

fn note(journal: &Journal, line: impl Into<String>) {
    journal.lock().expect("no panic").push(line.into());
}

fn lines(journal: &Journal) -> Vec<String> {
    journal.lock().expect("no panic").clone()
}

/// Fail some times, then succeed.
#[async_tool(retry(attempts = 4, backoff = "2s", max_backoff = "5s"))]
async fn flaky(
    failures: u32,
    #[serde(default)] fatal: bool,
    task: &TaskContext,
    journal: &Journal,
) -> Result<u32, ToolError> {
    note(
        journal,
        format!("{} at epoch {}", task.attempt(), task.epoch()),
    );
    task.log(format!("attempt {}", task.attempt()));
    if task.attempt() <= failures {
        return Err(ToolError::new("not yet")
            .with_code("busy")
            .with_retryable(!fatal));
    }
    Ok(task.attempt())
}

/// Fail until the last attempt.
#[async_tool(retry(attempts = 20, backoff = "1ms", max_backoff = "1ms"))]
async fn eager(name: String, task: &TaskContext, journal: &Journal) -> Result<(), ToolError> {
    note(journal, format!("{name} {}", task.attempt()));
    tokio::time::sleep(Duration::from_millis(1)).await;
    if task.attempt() < 20 {
        return Err(ToolError::new("not yet").with_retryable(true));
    }
    Ok(())
}

/// Three steps, the second of which takes a while.
#[async_tool(on_interrupt = "retry", cancel_grace = "1s")]
async fn staged(
    #[serde(default)] stubborn: bool,
    task: &TaskContext,
    journal: &Journal,
) -> Result<String, ToolError> {
    let first: String = task
        .step("first", || async {
            note(journal, "first");
            Ok("one".to_owned())
        })
        .await?;
    let second = task
        .step("second", || async {
            note(journal, "second");
            let pause = tokio::time::sleep(Duration::from_secs(60));
            if stubborn {
                pause.await;
                return Ok(2);
            }
            tokio::select! {
                () = pause => Ok(2),
                () = task.cancelled() => Err("stopped".into()),
            }
        })
        .await?;
    task.step("third", || async {
        note(journal, "third");
        Ok(())
    })
    .await?;
    Ok(format!("{first} {second}"))
}

/// Sleeps for an hour, and says so.
#[async_tool]
async fn once(journal: &Journal) {
    note(journal, "once");
    tokio::time::sleep(Duration::from_secs(3600)).await;
}

/// A step whose type has changed since.
#[async_tool(on_interrupt = "retry")]
async fn changed(task: &TaskContext, version: &Version) -> Result<(), ToolError> {
    if version.0.load(Ordering::SeqCst) == 1 {
        task.step("shape", || async { Ok("a text".to_owned()) })
            .await
            .map(drop)?;
    } else {
        task.step("shape", || async { Ok(1) }).await.map(drop)?;
    }
    tokio::time::sleep(Duration::from_secs(3600)).await;
    Ok(())
}

#[derive(Clone, Default)]
struct Version(Arc<AtomicUsize>);

fn builder(journal: &Journal) -> AsyncToolsBuilder {
    AsyncTools::builder()
        .registry(
            Registry::new()
                .with(EagerTool)
                .with(FlakyTool)
                .with(StagedTool)
                .with(OnceTool),
        )
        .state(Arc::clone(journal))
        .single_user()
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_worth_a_retry_is_retried_after_a_pause() {
    let journal = Journal::default();
    let server = TestServer::start(builder(&journal)).await;
    let started = Instant::now();
    let task = server.call("flaky_initiate", json!({"failures": 3})).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waiting = server
        .call("flaky_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(waiting["status"], "queued", "{}", waiting.text);
    let message = waiting["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("attempt 1 failed: not yet; "),
        "{message}"
    );

    let end = server.finish("flaky", task.id()).await;
    assert_eq!(
        (&end["status"], &end["result"]),
        (&json!("completed"), &json!(4))
    );
    assert_eq!(end["attempt"], 4);
    // 2, 4 and 5 seconds, each up to a quarter less.
    let took = started.elapsed().as_secs_f64();
    assert!((8.2..11.5).contains(&took), "{took} s");
    assert_eq!(
        lines(&journal),
        [
            "1 at epoch 1",
            "2 at epoch 2",
            "3 at epoch 3",
            "4 at epoch 4"
        ]
    );
    let log = server
        .call(
            "flaky_status",
            json!({"task_id": task.id(), "log_lines": 2}),
        )
        .await;
    let log = log["log"].as_array().expect("a log").clone();
    assert_eq!(log.len(), 2);
    assert!(
        log[1]
            .as_str()
            .is_some_and(|line| line.ends_with("Z attempt 4"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_in_quick_succession_run_once_each() {
    let journal = Journal::default();
    let server = TestServer::start(builder(&journal)).await;
    let mut tasks = Vec::new();
    for name in 'a'..='t' {
        tasks.push(server.call("eager_initiate", json!({"name": name})).await);
    }
    for task in tasks {
        let end = server.finish("eager", task.id()).await;
        assert_eq!(end["attempt"], 20, "{}", end.text);
    }
    let mut seen = lines(&journal);
    seen.sort();
    let mut expected: Vec<String> = ('a'..='t')
        .flat_map(|name| (1..=20).map(move |attempt| format!("{name} {attempt}")))
        .collect();
    expected.sort();
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn a_retry_ends_with_its_last_attempt_and_with_the_first_fatal_error() {
    let journal = Journal::default();
    let server = TestServer::start(builder(&journal)).await;
    for (arguments, attempts) in [
        (json!({"failures": 9}), 4),
        (json!({"failures": 9, "fatal": true}), 1),
    ] {
        journal.lock().expect("no panic").clear();
        let task = server.call("flaky_initiate", arguments).await;
        let end = server.finish("flaky", task.id()).await;
        assert_eq!(end.error_code(), Some("busy"), "{}", end.text);
        assert_eq!(lines(&journal).len(), attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_that_could_not_before_the_deadline() {
    let journal = Journal::default();
    let server = TestServer::start(builder(&journal)).await;
    let soon = json!({"failures": 9, "max_wait_seconds": 4});
    let task = server.call("flaky_initiate", soon).await;
    let started = Instant::now();
    let end = server.finish("flaky", task.id()).await;
    assert_eq!(end.error_code(), Some("busy"), "the error, not the clock");
    assert!(started.elapsed() < Duration::from_secs(4));
    assert_eq!(lines(&journal).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_task_in_back_off_can_be_cancelled() {
    let journal = Journal::default();
    let server = TestServer::start(builder(&journal)).await;
    let task = server.call("flaky_initiate", json!({"failures": 9})).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let arguments = json!({"task_id": task.id(), "reason": "enough"});
    let end = server.call("flaky_cancel", arguments).await;
    assert_eq!(end["status"], "cancelled");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(lines(&journal).len(), 1);
}

/// A server, killed as a crash would after some seconds, and the next one.
async fn crash_after(seconds: u64, tool: &str, journal: &Journal) -> (TestServer, String) {
    let store = MemoryStore::new();
    let first = TestServer::start(builder(journal).store(store.clone())).await;
    let task = first.call(&format!("{tool}_initiate"), json!({})).await;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    drop(first);
    let second = TestServer::start(builder(journal).store(store)).await;
    (second, task.id().to_owned())
}

#[tokio::test(start_paused = true)]
async fn invariant_6_a_dead_workers_task_is_taken_over_within_two_lease_times() {
    let journal = Journal::default();
    let (server, id) = crash_after(5, "staged", &journal).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let running = server.call("staged_status", json!({"task_id": id})).await;
    assert_eq!(
        (&running["status"], &running["attempt"]),
        (&json!("working"), &json!(2))
    );
    let end = server.finish("staged", &id).await;
    assert_eq!(end["result"], "one 2", "{}", end.text);
    assert_eq!(
        lines(&journal),
        ["first", "second", "second", "third"],
        "a recorded step does not run again"
    );
}

#[tokio::test(start_paused = true)]
async fn invariant_7_an_interrupted_task_is_not_repeated_unless_its_tool_says_so() {
    let journal = Journal::default();
    let (server, id) = crash_after(5, "once", &journal).await;
    let end = server.finish("once", &id).await;
    assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
    assert_eq!(lines(&journal), ["once"]);
}

#[tokio::test(start_paused = true)]
async fn interruptions_are_limited() {
    let journal = Journal::default();
    let store = MemoryStore::new();
    let mut id = String::new();
    for crash in 0..3 {
        let server = TestServer::start(builder(&journal).store(store.clone())).await;
        if crash == 0 {
            let task = server.call("staged_initiate", json!({})).await;
            id = task.id().to_owned();
        }
        tokio::time::sleep(Duration::from_secs(40)).await;
    }
    let server = TestServer::start(builder(&journal).store(store)).await;
    let end = server.finish("staged", &id).await;
    assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
    assert_eq!(end["attempt"], 3);
}

#[tokio::test(start_paused = true)]
async fn shutdown_releases_what_may_run_again() {
    let journal = Journal::default();
    let store = MemoryStore::new();
    let short = Duration::from_secs(1);
    let first = TestServer::start(builder(&journal).store(store.clone()).drain(short)).await;
    let soft = first.call("staged_initiate", json!({})).await;
    let hard = first
        .call("staged_initiate", json!({"stubborn": true}))
        .await;
    let never = first.call("once_initiate", json!({})).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    first.tools().shutdown().await;
    let interrupted = first
        .call("once_status", json!({"task_id": never.id()}))
        .await;
    assert_eq!(interrupted.error_code(), Some("interrupted"));

    for task in [&soft, &hard] {
        let arguments = json!({"task_id": task.id()});
        let waiting = first.call("staged_status", arguments).await;
        assert_eq!(waiting["status"], "queued", "{}", waiting.text);
    }
    let second = TestServer::start(builder(&journal).store(store)).await;
    for task in [soft, hard] {
        let end = second.finish("staged", task.id()).await;
        assert_eq!(end["result"], "one 2", "{}", end.text);
        assert_eq!(end["attempt"], 2);
    }
    assert_eq!(
        lines(&journal)
            .iter()
            .filter(|line| *line == "first")
            .count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_that_begins_after_a_cancel_does_not_run() {
    let journal = Journal::default();
    let server = TestServer::start(builder(&journal)).await;
    let stubborn = json!({"stubborn": true});
    let task = server.call("staged_initiate", stubborn).await;
    tokio::time::sleep(Duration::from_millis(59_500)).await;
    let end = server
        .call("staged_cancel", json!({"task_id": task.id()}))
        .await;
    assert_eq!(end["status"], "cancelled", "{}", end.text);
    assert_eq!(lines(&journal), ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_record_no_longer_fits_fails_the_task() {
    let (store, version) = (MemoryStore::new(), Version::default());
    let builder = || {
        AsyncTools::builder()
            .registry(Registry::new().with(ChangedTool))
            .state(version.clone())
            .store(store.clone())
    };
    version.0.store(1, Ordering::SeqCst);
    let first = TestServer::start(builder()).await;
    let task = first.call("changed_initiate", json!({})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(first);
    version.0.store(2, Ordering::SeqCst);
    let second = TestServer::start(builder()).await;
    let end = second.finish("changed", task.id()).await;
    assert_eq!(end.error_code(), Some("incompatible_step"), "{}", end.text);
    let message = end["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("the step `shape`"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn steps_are_steps_of_the_progress() {
    let server = TestServer::start(builder(&Journal::default())).await;
    let task = server.call("staged_initiate", json!({})).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let running = server
        .call("staged_status", json!({"task_id": task.id()}))
        .await;
    assert_eq!(running["progress"]["step"], "second", "{}", running.text);
}
