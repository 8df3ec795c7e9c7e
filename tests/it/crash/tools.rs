//! The tools of the server processes. What they do goes to the [`Ledger`].

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_tool::{Registry, StepError, TaskContext, ToolError, async_tool};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ledger::{Event, Ledger};

/// How many steps `staged` has.
pub(crate) const STEPS: u64 = 4;
/// How often an interrupted task is started at most.
pub(crate) const STARTS: u32 = 3;
/// How often `flaky` is started at most.
pub(crate) const TRIES: u32 = 4;

/// Must not be repeated.
#[async_tool]
async fn once(number: u64, millis: u64, task: &TaskContext, ledger: &Ledger) -> u64 {
    let body = ledger.begin(task, "-");
    sleep(Duration::from_millis(millis)).await;
    body.end(Event::Ended);
    number * 2
}

/// Has steps, whose results it adds.
#[async_tool(on_interrupt = "retry")]
pub(crate) async fn staged(
    number: u64,
    millis: u64,
    task: &TaskContext,
    ledger: &Ledger,
) -> Result<u64, ToolError> {
    let body = ledger.begin(task, "-");
    let mut sum = 0;
    for step in 0..STEPS {
        let name = format!("step-{step}");
        let result = task
            .step(&name, || async {
                ledger.note(Event::StepRan, task, &name);
                for percent in [25, 50, 75, 100] {
                    sleep(Duration::from_millis(millis / STEPS / 4)).await;
                    task.progress().fraction(f64::from(percent) / 100.0);
                }
                Ok(number + step)
            })
            .await;
        sum += noted(result, ledger, task, &name)?;
        task.log(format!("attempt {} has {name}", task.attempt()));
    }
    body.end(Event::Ended);
    Ok(sum)
}

fn noted<T>(
    result: Result<T, StepError>,
    ledger: &Ledger,
    task: &TaskContext,
    step: &str,
) -> Result<T, StepError> {
    let event = if result.is_ok() {
        Event::StepRecorded
    } else {
        Event::StepRefused
    };
    ledger.note(event, task, step);
    result
}

/// Fails some times; an interruption ends it.
#[async_tool(retry(attempts = 4, backoff = "100ms", max_backoff = "200ms"))]
async fn flaky(
    number: u64,
    failures: u32,
    millis: u64,
    task: &TaskContext,
    ledger: &Ledger,
) -> Result<u64, ToolError> {
    let body = ledger.begin(task, "-");
    sleep(Duration::from_millis(millis)).await;
    if task.attempt() <= failures {
        body.end(Event::Failed);
        return Err(ToolError::new("not yet")
            .with_code("busy")
            .with_retryable(true));
    }
    body.end(Event::Ended);
    Ok(number * 3)
}

/// Runs by itself among those of its key.
#[async_tool(on_interrupt = "retry", concurrency_key(args(key)))]
async fn keyed(number: u64, key: String, millis: u64, task: &TaskContext, ledger: &Ledger) -> u64 {
    let body = ledger.begin(task, &key);
    sleep(Duration::from_millis(millis)).await;
    body.end(Event::Ended);
    number * 5
}

/// What `haunted` waits for, and what it leaves behind.
#[derive(Clone, Default)]
pub(crate) struct Bell {
    rung: CancellationToken,
    ghosts: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// Waits for the bell of its process. The first attempt leaves something
/// behind that waits for the end of a freeze, and then writes whatever it can.
#[async_tool(on_interrupt = "retry")]
async fn haunted(task: &TaskContext, bell: &Bell, ledger: &Ledger) -> Result<u32, ToolError> {
    let body = ledger.begin(task, "-");
    let steps = task.progress().steps(["first", "waits"]);
    let step = task
        .step("first", || async {
            ledger.note(Event::StepRan, task, "first");
            Ok(())
        })
        .await;
    noted(step, ledger, task, "first")?;
    if task.attempt() == 1 {
        let ghost = haunt(task.clone(), ledger.clone());
        let ghosts = &mut *bell.ghosts.lock().expect("no panic");
        ghosts.push(tokio::spawn(ghost));
    }
    steps.start("waits");
    bell.rung.cancelled().await;
    body.end(Event::Ended);
    Ok(task.attempt())
}

async fn haunt(task: TaskContext, ledger: Ledger) {
    thawed().await;
    task.progress().message("written late");
    task.log("written late");
    let late = task
        .step("late", || async {
            ledger.note(Event::StepRan, &task, "late");
            Ok(())
        })
        .await;
    let _ = noted(late, &ledger, &task, "late");
}

/// Waits until this process goes on after it was stopped for a while. Among the
/// first things that happen then.
async fn thawed() {
    let mut asleep = Duration::ZERO;
    while asleep < Duration::from_secs(2) {
        let before = Instant::now();
        sleep(Duration::from_millis(2)).await;
        asleep = before.elapsed();
    }
}

/// Rings the bell of its process, and waits for what `haunted` left there.
#[async_tool]
async fn ring(bell: &Bell) {
    bell.rung.cancel();
    let ghosts = std::mem::take(&mut *bell.ghosts.lock().expect("no panic"));
    for ghost in ghosts {
        ghost.await.expect("no panic");
    }
}

pub(crate) fn registry() -> Registry {
    Registry::new()
        .with(OnceTool)
        .with(StagedTool)
        .with(FlakyTool)
        .with(KeyedTool)
        .with(HauntedTool)
        .with(RingTool)
}
