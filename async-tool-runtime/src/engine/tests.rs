//! What only an engine's own clock and threads can show.

use std::time::Duration;

use serde_json::json;

use futures_util::poll;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::{Clock, Engine};
use crate::store::Status;
use crate::test_tool::SleepTool;
use crate::testing::TestServer;
use crate::{
    AsyncTool, AsyncTools, AsyncToolsBuilder, BoxError, Call, Descriptor, MemoryStore, Registry,
};

const HOURS: i64 = 3_600_000;

#[tokio::test(start_paused = true)]
async fn jumps_of_the_wall_clock_kill_no_live_task() {
    let clock = Clock::tokio();
    let store = MemoryStore::with_clock(clock.clone());
    let builder = || {
        AsyncTools::builder()
            .registry(Registry::new().with(SleepTool))
            .clock(clock.clone())
            .store(store.clone())
            .max_age(Duration::from_secs(3 * 3600))
    };
    let tools = builder().build().await.expect("builds");
    let server = TestServer::connect(tools).await;
    // Cleans up as well, and takes over what it thinks dead.
    let _other = builder().build().await.expect("builds");
    let task = server.call("sleep_initiate", json!({"seconds": 600})).await;
    for hours in [5, -12, 9] {
        tokio::time::sleep(Duration::from_secs(60)).await;
        clock.jump(hours * HOURS);
        let running = server
            .call(
                "sleep_status",
                json!({"task_id": task.id(), "wait_seconds": 60}),
            )
            .await;
        assert_eq!(running["status"], "working", "{}", running.text);
    }
    let end = server.finish("sleep", task.id()).await;
    assert_eq!(end["status"], "completed", "{}", end.text);
}

/// Blocks a thread of the runtime, as no tool should.
struct BlockTool;

impl AsyncTool for BlockTool {
    type Input = std::collections::BTreeMap<String, u64>;
    type Output = u64;

    fn descriptor(&self) -> &'static Descriptor {
        static BLOCK: Descriptor = Descriptor::new("block");
        &BLOCK
    }

    async fn run(&self, input: Self::Input, _: Call<'_>) -> Result<u64, BoxError> {
        let millis = input.get("millis").copied().unwrap_or_default();
        std::thread::sleep(Duration::from_millis(millis));
        Ok(millis)
    }
}

#[test]
fn a_tool_that_blocks_every_thread_of_the_runtime_keeps_its_lease() {
    const LEASE: Duration = Duration::from_millis(400);
    let store = MemoryStore::new();
    let builder = |store: &MemoryStore| -> AsyncToolsBuilder {
        AsyncTools::builder()
            .registry(Registry::new().with(BlockTool))
            .store(store.clone())
            .lease(LEASE)
    };
    let runtime = |threads| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()
            .expect("a runtime")
    };
    let (blocked, other) = (runtime(1), runtime(1));
    let (_reaper, status) = other.block_on(async {
        let reaper = builder(&store).slots(0).build().await.expect("builds");
        let observer = TestServer::connect(reaper.clone()).await;
        let started = observer
            .call("block_initiate", json!({"millis": 2000}))
            .await;
        let id = started.id().to_owned();
        let mine = builder(&store);
        let worker = blocked.spawn(async move { mine.build().await.expect("builds") });
        let worker = worker.await.expect("no panic");
        let end = observer.finish("block", &id).await;
        drop(worker);
        (reaper, end["status"].clone())
    });
    assert_eq!(status, json!(Status::Completed.as_str()));
}

#[tokio::test]
async fn a_store_call_goes_on_when_its_caller_is_gone() {
    let (done, ended) = oneshot::channel();
    let mut call = Box::pin(Engine::detached(async {
        yield_now().await;
        done.send(()).expect("the test waits");
        Ok(())
    }));
    assert!(poll!(&mut call).is_pending());
    drop(call);
    ended.await.expect("the call ran to its end");
}

#[tokio::test]
async fn a_store_call_that_panics_is_an_error_at_once_or_later() {
    let at_once = Engine::detached::<()>(async { panic!("on purpose") });
    assert!(at_once.await.is_err());
    let later = Engine::detached::<()>(async {
        yield_now().await;
        panic!("on purpose")
    });
    assert!(later.await.is_err());
}
