//! A server whose tool does what the test says, and tasks without a server.

use std::sync::Arc;
use std::time::Duration;

use async_tool_runtime::store::{self, Admission, Created, Lease, NewTask, SessionId, Store, Want};
use async_tool_runtime::testing::TestServer;
use async_tool_runtime::{
    AsyncTool, AsyncTools, BoxError, Call, Descriptor, Registry, TaskId, ToolError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a task of the tool `work` goes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    Complete,
    Fail,
    /// Until it is asked to stop.
    Forever,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Work {
    how: How,
}

struct WorkTool;

impl AsyncTool for WorkTool {
    type Input = Work;
    type Output = String;

    fn descriptor(&self) -> &'static Descriptor {
        static WORK: Descriptor = Descriptor::new("work").description("Work.");
        &WORK
    }

    async fn run(&self, work: Work, call: Call<'_>) -> Result<String, BoxError> {
        let task = call.context();
        task.progress().steps(["prepare"]).next();
        task.log("ready \u{1b}[2J");
        let step = async || Ok::<_, BoxError>(7);
        task.step("count", step).await?;
        match work.how {
            How::Complete => Ok("top secret".to_owned()),
            How::Fail => {
                let error = ToolError::new("the disk is \u{1b}[31mfull");
                Err(error.with_code("no_space").into())
            }
            How::Forever => {
                task.cancelled().await;
                Err("stopped".into())
            }
        }
    }
}

/// A server on a store.
pub(crate) async fn serve(url: &str, namespace: &str) -> TestServer {
    let builder = AsyncTools::builder()
        .registry(Registry::new().with(WorkTool))
        .store(store::from_url(url).await.expect("a store"))
        .namespace(namespace);
    TestServer::start(builder).await
}

pub(crate) async fn initiate(server: &TestServer, how: How) -> String {
    let arguments = serde_json::json!({ "how": how });
    server
        .call("work_initiate", arguments)
        .await
        .id()
        .to_owned()
}

/// A namespace on which no server works.
pub(crate) async fn open(url: &str, namespace: &str) -> Arc<dyn Store> {
    let store = store::from_url(url).await.expect("a store");
    store.open(namespace).await.expect("a namespace")
}

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) async fn queued(store: &dyn Store) -> TaskId {
    let new = NewTask::new(TaskId::random(), "work", "{}", HOUR, HOUR);
    match store.create(new, Admission::new(1000, 1000)).await {
        Ok(Created::New(record)) => record.id,
        other => panic!("{other:?}"),
    }
}

/// Has a worker take a task, and die.
pub(crate) async fn abandoned(store: &dyn Store, lease: Duration) -> TaskId {
    let id = queued(store).await;
    let lease = Lease::new(SessionId::random(), lease);
    let claimed = store.claim(lease, &[Want::new("work".into(), 1)], 1).await;
    assert_eq!(claimed.expect("an answer").len(), 1);
    id
}
