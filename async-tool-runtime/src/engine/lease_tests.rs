//! A worker that loses its lease, or does not hear of it in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use serde_json::json;

use crate::store::*;
use crate::testing::TestServer;
use crate::{
    AsyncTool, AsyncTools, BoxError, Call, Descriptor, MemoryStore, OnInterrupt, Registry,
};

/// Memory whose heartbeats hang, or which is down altogether.
#[derive(Clone, Default)]
struct Stuck {
    inner: MemoryStore,
    hang: Arc<AtomicBool>,
    down: Arc<AtomicBool>,
}

struct Namespace {
    inner: Arc<dyn Store>,
    all: Stuck,
}

impl Namespace {
    fn up(&self) -> Result<&Arc<dyn Store>, StoreError> {
        if self.all.down.load(Ordering::SeqCst) {
            return Err(StoreError::new("down"));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl OpenStore for Stuck {
    async fn open(&self, namespace: &str) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(Namespace {
            inner: self.inner.open(namespace).await?,
            all: self.clone(),
        }))
    }
}

/// Forwards verbs while the store is up.
macro_rules! forward {
    (
        $($verb:ident($($name:ident: $type:ty),*) -> $answer:ty;)*
        { $($by_hand:tt)* }
    ) => {
        #[async_trait]
        impl Store for Namespace {
            $(
                async fn $verb(&self, $($name: $type),*) -> Result<$answer, StoreError> {
                    self.up()?.$verb($($name),*).await
                }
            )*
            $($by_hand)*
        }
    };
}

forward! {
    create(new: NewTask, admission: Admission) -> Created;
    claim(lease: Lease, wants: &[Want], limit: usize) -> Vec<TaskRecord>;
    finish(id: TaskId, epoch: Epoch, end: End) -> Result<(), Refused>;
    release(id: TaskId, epoch: Epoch, release: Release) -> Result<(), Refused>;
    put_result(id: TaskId, epoch: Epoch, result: Arc<str>) -> Result<(), Refused>;
    record_step(id: TaskId, epoch: Epoch, step: StepRecord) -> Result<(), Refused>;
    steps(id: TaskId) -> Vec<StepRecord>;
    log(id: TaskId, limit: usize) -> Vec<LogLine>;
    list(filter: &Filter, after: Option<Cursor>, limit: usize) -> Vec<TaskRecord>;
    request_cancel(id: TaskId, reason: Arc<str>) -> Option<CancelAck>;
    get(id: TaskId) -> Option<TaskRecord>;
    reap(limit: usize) -> Reaped;
    {
        async fn beat(&self, lease: Lease, reports: Vec<Report>) -> Result<Beat, StoreError> {
            if self.all.hang.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            self.up()?.beat(lease, reports).await
        }

        fn changes(&self) -> BoxStream<'static, Change> {
            self.inner.changes()
        }
    }
}

/// How many bodies go on at this moment, how many did at most, and how many
/// began.
#[derive(Clone, Default)]
struct Bodies(Arc<[AtomicUsize; 3]>);

struct Body(Bodies);

impl Bodies {
    fn begin(&self) -> Body {
        let now = self.0[0].fetch_add(1, Ordering::SeqCst) + 1;
        self.0[1].fetch_max(now, Ordering::SeqCst);
        self.0[2].fetch_add(1, Ordering::SeqCst);
        Body(self.clone())
    }

    fn counts(&self) -> [usize; 3] {
        [0, 1, 2].map(|index| self.0[index].load(Ordering::SeqCst))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.0.0[0].fetch_sub(1, Ordering::SeqCst);
    }
}

/// Goes on for an hour, and may be started again.
struct AgainTool;

impl AsyncTool for AgainTool {
    type Input = std::collections::BTreeMap<String, u64>;
    type Output = u64;

    fn descriptor(&self) -> &'static Descriptor {
        static AGAIN: Descriptor = Descriptor::new("again").on_interrupt(OnInterrupt::Retry);
        &AGAIN
    }

    async fn run(&self, _: Self::Input, call: Call<'_>) -> Result<u64, BoxError> {
        let _body = call.borrow::<Bodies>().begin();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Ok(1)
    }
}

/// Blocks its thread.
struct BlockTool;

impl AsyncTool for BlockTool {
    type Input = std::collections::BTreeMap<String, u64>;
    type Output = u64;

    fn descriptor(&self) -> &'static Descriptor {
        static BLOCK: Descriptor = Descriptor::new("block");
        &BLOCK
    }

    async fn run(&self, input: Self::Input, call: Call<'_>) -> Result<u64, BoxError> {
        let _body = call.borrow::<Bodies>().begin();
        let millis = input.get("millis").copied().unwrap_or_default();
        std::thread::sleep(Duration::from_millis(millis));
        Ok(millis)
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_claims_its_own_task_again_stops_the_earlier_attempt_first() {
    let (stuck, bodies) = (Stuck::default(), Bodies::default());
    let builder = || {
        AsyncTools::builder()
            .registry(Registry::new().with(AgainTool))
            .state(bodies.clone())
    };
    let _reaper = TestServer::start(builder().store(stuck.inner.clone()).slots(0)).await;
    let worker = TestServer::start(builder().store(stuck.clone())).await;
    worker.call("again_initiate", json!({})).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    // Long enough for the other one to take the task over, and too short for
    // this one to give it up.
    stuck.hang.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(13_100)).await;
    stuck.hang.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(bodies.counts(), [1, 1, 2], "[now, at most, begun]");
}

/// A server whose store was away for longer than its lease while a body
/// blocked its thread.
async fn lost_while_blocked(bodies: &Bodies, arguments: serde_json::Value) -> (TestServer, String) {
    let stuck = Stuck::default();
    let tools = AsyncTools::builder()
        .registry(Registry::new().with(BlockTool))
        .state(bodies.clone())
        .store(stuck.clone())
        .lease(Duration::from_millis(600));
    let server = TestServer::connect(tools.build().await.expect("builds")).await;
    let task = server.call("block_initiate", arguments).await;
    stuck.down.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1000)).await;
    stuck.down.store(false, Ordering::SeqCst);
    (server, task.id().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_task_whose_body_cannot_be_stopped_ends_for_its_caller() {
    let bodies = Bodies::default();
    let (server, id) = lost_while_blocked(&bodies, json!({"millis": 5000})).await;
    let arguments = json!({"task_id": id, "wait_seconds": 3});
    let end = server.call("block_status", arguments).await;
    assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
    assert_eq!(bodies.counts(), [1, 1, 1], "its body goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invariant_7_what_ran_while_the_lease_was_lost_is_not_given_back_as_never_begun() {
    let bodies = Bodies::default();
    let (server, id) = lost_while_blocked(&bodies, json!({"millis": 1500})).await;
    let end = server.finish("block", &id).await;
    assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(bodies.counts(), [0, 1, 1]);
}
