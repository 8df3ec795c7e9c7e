//! Tasks that are there before anything is measured, put into the store
//! directly: through a client it would take minutes.

use std::sync::Arc;
use std::time::Duration;

use async_tool::TaskId;
use async_tool::store::{
    Admission, Created, End, Lease, NewTask, Outcome, SessionId, Store, TaskRecord,
};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::BoxError;
use crate::support::tools::echo;

/// Callers of the store, whose writes it may join.
const CALLERS: usize = 64;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A call of `echo`.
fn new_task() -> NewTask {
    let arguments = Value::Object(echo("hello")).to_string();
    NewTask::new(TaskId::random(), "echo", arguments, DAY, DAY)
}

/// Without limits.
fn admission() -> Admission {
    Admission::new(usize::MAX, usize::MAX)
}

/// Adds completed tasks, for which nothing may be queued; their ids.
pub(crate) async fn retain(store: &Arc<dyn Store>, tasks: usize) -> Result<Vec<TaskId>, BoxError> {
    add(store, tasks, true).await
}

/// Adds queued tasks.
pub(crate) async fn queue(store: &Arc<dyn Store>, tasks: usize) -> Result<(), BoxError> {
    add(store, tasks, false).await.map(drop)
}

async fn add(store: &Arc<dyn Store>, tasks: usize, end: bool) -> Result<Vec<TaskId>, BoxError> {
    let lease = Lease::new(SessionId::random(), DAY);
    let callers = CALLERS.min(tasks);
    let mut adding = JoinSet::new();
    for caller in 0..callers {
        let store = Arc::clone(store);
        adding.spawn(async move {
            let mut ids = Vec::new();
            for _ in (caller..tasks).step_by(callers) {
                ids.push(match end {
                    true => retained(&*store, lease).await?,
                    false => create(&*store, admission()).await?.id,
                });
            }
            Ok::<_, BoxError>(ids)
        });
    }
    let added: Result<Vec<_>, _> = adding.join_all().await.into_iter().collect();
    Ok(added?.into_iter().flatten().collect())
}

async fn retained(store: &dyn Store, lease: Lease) -> Result<TaskId, BoxError> {
    let task = create(store, admission().claimed_by(lease)).await?;
    let end = End::new(Outcome::Completed("\"hello\"".into()), task.revision);
    match store.finish(task.id, task.epoch, end).await? {
        Ok(()) => Ok(task.id),
        Err(refused) => Err(format!("a task could not be finished: {refused:?}").into()),
    }
}

async fn create(store: &dyn Store, admission: Admission) -> Result<TaskRecord, BoxError> {
    match store.create(new_task(), admission).await? {
        Created::New(task) => Ok(task),
        other => Err(format!("a task was not new: {other:?}").into()),
    }
}
