//! Tasks in memory, for the tests of commands.

use std::time::Duration;

use async_tool_runtime::store::{
    Admission, Created, End, Lease, NewTask, OpenStore, Outcome, SessionId, TaskFailure,
    TaskRecord, Want,
};
use async_tool_runtime::{MemoryStore, Principal, TaskId};

use super::Place;

pub(super) const LEASE: Duration = Duration::from_secs(15);
const HOUR: Duration = Duration::from_secs(3600);

/// A namespace of an empty store.
pub(super) async fn empty() -> Place {
    place(&MemoryStore::new(), "default").await
}

pub(super) async fn place(store: &MemoryStore, namespace: &str) -> Place {
    Place {
        namespace: namespace.to_owned(),
        store: store.open(namespace).await.expect("a namespace"),
    }
}

pub(super) fn task(tool: &str) -> NewTask {
    NewTask::new(TaskId::random(), tool, "{}", HOUR, HOUR)
}

impl Place {
    pub(super) async fn create(&self, new: NewTask) -> TaskId {
        let created = self.store.create(new, Admission::new(100, 100)).await;
        match created.expect("an answer") {
            Created::New(record) => record.id,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn queued(&self, tool: &str) -> TaskId {
        self.create(task(tool)).await
    }

    pub(super) async fn queued_by(&self, tool: &str, principal: &str) -> TaskId {
        let mut new = task(tool);
        new.principal = Some(Principal::new(principal));
        self.create(new).await
    }

    /// Gives the oldest task of a tool to a session of its own.
    pub(super) async fn claim(&self, tool: &str) -> (TaskRecord, Lease) {
        let lease = Lease::new(SessionId::random(), LEASE);
        let claimed = self
            .store
            .claim(lease, &[Want::new(tool.into(), 1)], 1)
            .await;
        let record = claimed.expect("an answer").pop().expect("a task");
        (record, lease)
    }

    pub(super) async fn working(&self, tool: &str) -> TaskRecord {
        self.queued(tool).await;
        self.claim(tool).await.0
    }

    pub(super) async fn ended(&self, tool: &str, outcome: Outcome) -> TaskId {
        let record = self.working(tool).await;
        self.end(&record, outcome).await;
        record.id
    }

    pub(super) async fn end(&self, record: &TaskRecord, outcome: Outcome) {
        let end = End::new(outcome, record.revision);
        let ended = self.store.finish(record.id, record.epoch, end).await;
        ended.expect("an answer").expect("an end");
    }
}

pub(super) fn completed() -> Outcome {
    Outcome::Completed("{\"secret\":7}".into())
}

pub(super) fn failed(message: &str) -> Outcome {
    Outcome::Failed(Box::new(TaskFailure::new("tool_error", message)))
}
