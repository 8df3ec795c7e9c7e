//! What a task's record tells of its attempts.

use std::time::Duration;

use async_tool::store::{
    AttemptEnd, AttemptHistory, History, OpenStore, StepEnd, StepKind, TaskId,
};
use async_tool::testing::TestServer;
use async_tool::{
    AskError, AsyncTools, AsyncToolsBuilder, MemoryStore, Registry, TaskContext, ToolError,
    async_tool,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// Recorded steps and steps of the progress.
#[async_tool(on_interrupt = "retry", retry(attempts = 3, backoff = "1s"))]
async fn staged(#[serde(default)] failures: u32, task: &TaskContext) -> Result<(), ToolError> {
    task.step("fetch", || async {
        sleep(2 * SECOND).await;
        Ok(())
    })
    .await?;
    let steps = task.progress().steps(["fetch", "compile", "package"]);
    steps.start("compile");
    sleep(3 * SECOND).await;
    if task.attempt() <= failures {
        return Err(ToolError::new("no linker").with_retryable(true));
    }
    steps.start("package");
    sleep(SECOND).await;
    Ok(())
}

/// Nothing but work.
#[async_tool]
async fn plain(task: &TaskContext) {
    task.progress().total(4);
    for _ in 0..4 {
        sleep(SECOND).await;
        task.progress().inc(1);
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Yes {
    #[expect(dead_code, reason = "whatever it is")]
    yes: bool,
}

/// A question.
#[async_tool(interactive, on_interrupt = "retry")]
async fn ask(task: &TaskContext) -> Result<(), AskError> {
    sleep(SECOND).await;
    task.ask::<Yes>("The secret plan?").await.map(drop)
}

fn builder(store: &MemoryStore) -> AsyncToolsBuilder {
    AsyncTools::builder()
        .registry(
            Registry::new()
                .with(StagedTool)
                .with(PlainTool)
                .with(AskTool),
        )
        .store(store.clone())
}

async fn text(store: &MemoryStore, id: &str) -> Option<String> {
    let store = store.open("default").await.expect("it opens");
    let id: TaskId = id.parse().expect("an id");
    let record = store.get(id).await.expect("it works").expect("it is there");
    record.history.map(|text| text.to_string())
}

async fn history(store: &MemoryStore, id: &str) -> History {
    let store = store.open("default").await.expect("it opens");
    let id: TaskId = id.parse().expect("an id");
    let record = store.get(id).await.expect("it works").expect("it is there");
    History::of(&record)
}

type Step<'a> = (&'a str, StepKind, u64, Option<u64>, Option<StepEnd>);

/// Names, kinds, and whole seconds.
fn steps(attempt: &AttemptHistory) -> Vec<Step<'_>> {
    let step = |step: &'_ async_tool::store::StepHistory| {
        let after = step.after.expect("it is known").as_secs();
        (
            step.kind,
            after,
            step.took.map(|took| took.as_secs()),
            step.end,
        )
    };
    let steps = attempt.steps.iter();
    steps
        .map(|it| {
            let (kind, after, took, end) = step(it);
            (&*it.name, kind, after, took, end)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn steps_have_their_times() {
    let store = MemoryStore::new();
    let server = TestServer::start(builder(&store)).await;
    let task = server.call("staged_initiate", json!({})).await;
    sleep(Duration::from_millis(3500)).await;
    let meanwhile = history(&store, task.id()).await;
    let done = Some(StepEnd::Done);
    assert_eq!(
        steps(&meanwhile.attempts[0]),
        [
            ("fetch", StepKind::Recorded, 0, Some(2), done),
            ("compile", StepKind::Progress, 2, None, None),
        ]
    );
    server.finish("staged", task.id()).await;
    let end = history(&store, task.id()).await;
    let [attempt] = end.attempts.as_slice() else {
        panic!("{end:?}");
    };
    assert_eq!(
        steps(attempt),
        [
            ("fetch", StepKind::Recorded, 0, Some(2), done),
            ("compile", StepKind::Progress, 2, Some(3), done),
            ("package", StepKind::Progress, 5, Some(1), done),
        ]
    );
    assert_eq!(attempt.end, Some(AttemptEnd::Completed));
    assert_eq!(attempt.took.map(|took| took.as_secs()), Some(6));
}

#[tokio::test(start_paused = true)]
async fn two_attempts_are_told_apart() {
    let store = MemoryStore::new();
    let server = TestServer::start(builder(&store)).await;
    let task = server.call("staged_initiate", json!({"failures": 1})).await;
    server.finish("staged", task.id()).await;
    let history = history(&store, task.id()).await;
    let [first, second] = history.attempts.as_slice() else {
        panic!("{history:?}");
    };
    assert_eq!((first.number, first.end), (1, Some(AttemptEnd::Retried)));
    let reason = first.reason.as_deref().unwrap_or_default();
    assert!(reason.contains("no linker"), "{reason}");
    assert_eq!(
        steps(first)[1],
        (
            "compile",
            StepKind::Progress,
            2,
            Some(3),
            Some(StepEnd::Failed)
        )
    );
    assert_eq!(
        (second.number, second.end),
        (2, Some(AttemptEnd::Completed))
    );
    assert_eq!(
        steps(second)[..2],
        [
            (
                "fetch",
                StepKind::Recorded,
                0,
                Some(0),
                Some(StepEnd::Replayed)
            ),
            (
                "compile",
                StepKind::Progress,
                0,
                Some(3),
                Some(StepEnd::Done)
            ),
        ]
    );
    assert_eq!(first.worker, second.worker, "one worker executed both");
}

#[tokio::test(start_paused = true)]
async fn who_takes_over_closes_the_attempt_of_the_dead() {
    let store = MemoryStore::new();
    let first = TestServer::start(builder(&store)).await;
    let task = first.call("staged_initiate", json!({})).await;
    sleep(Duration::from_millis(2500)).await;
    drop(first);
    let second = TestServer::start(builder(&store)).await;
    let end = second.finish("staged", task.id()).await;
    assert_eq!(end["status"], "completed", "{}", end.text);
    let history = history(&store, task.id()).await;
    let [dead, living] = history.attempts.as_slice() else {
        panic!("{history:?}");
    };
    assert_eq!(dead.end, Some(AttemptEnd::Interrupted));
    assert!(dead.started_at.is_some(), "it had written that");
    assert_eq!(steps(dead)[0].0, "fetch");
    assert_eq!(living.end, Some(AttemptEnd::Completed));
    assert_eq!(steps(living)[0].4, Some(StepEnd::Replayed));
    assert_ne!(dead.worker, living.worker);
}

#[tokio::test(start_paused = true)]
async fn a_task_without_steps_writes_none() {
    let store = MemoryStore::new();
    let server = TestServer::start(builder(&store)).await;
    let task = server.call("plain_initiate", json!({})).await;
    sleep(2 * SECOND).await;
    assert_eq!(text(&store, task.id()).await, None);
    server.finish("plain", task.id()).await;
    assert_eq!(text(&store, task.id()).await, None);
    let attempts = history(&store, task.id()).await.attempts;
    assert_eq!(attempts.len(), 1, "the record tells");
    assert_eq!(attempts[0].end, Some(AttemptEnd::Completed));
}

#[tokio::test(start_paused = true)]
async fn a_question_is_there_with_its_time_and_without_its_text() {
    let store = MemoryStore::new();
    let server = TestServer::start(builder(&store)).await;
    let task = server.call("ask_initiate", json!({})).await;
    sleep(5 * SECOND).await;
    let arguments = json!({"task_id": task.id(), "wait_seconds": 1});
    let waiting = server.call("ask_status", arguments).await;
    let key = &waiting["questions"][0]["key"];
    let answer = json!({
        "task_id": task.id(), "key": key, "action": "accept", "content": {"yes": true},
    });
    server.call("ask_respond", answer).await;
    server.finish("ask", task.id()).await;
    let history = history(&store, task.id()).await;
    assert_eq!(
        steps(&history.attempts[0]),
        [("1", StepKind::Question, 1, Some(4), Some(StepEnd::Done))]
    );
    let text = text(&store, task.id()).await.unwrap_or_default();
    assert!(!text.contains("secret"), "{text}");
}
