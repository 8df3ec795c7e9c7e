//! A worker that serves nobody.

use std::time::Duration;

use futures_core::Stream;
use futures_util::StreamExt;

use super::AsyncTools;
use super::signals::terminations;

impl AsyncTools {
    /// Executes what is queued in the store, and serves no MCP, until the
    /// process gets SIGTERM or Ctrl-C; then it ends in order, as
    /// [`shutdown`](Self::shutdown) does, and at once with a second signal.
    ///
    /// For tasks that must outlive the host which started them: a host ends its
    /// stdio servers when it likes. Give those `.slots(0)`, so that they accept
    /// and answer but execute nothing, and run one worker of the same tools,
    /// state, store and namespace beside them.
    pub async fn run_worker(self) {
        self.work_until(terminations()).await;
    }

    async fn work_until(self, mut terminations: impl Stream<Item = ()> + Unpin) {
        terminations.next().await;
        tokio::select! {
            biased;
            () = self.shutdown() => {}
            Some(()) = terminations.next() => self.shutdown_within(Duration::ZERO).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::stream;
    use serde_json::json;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use crate::engine::Clock;
    use crate::test_tool::SleepTool;
    use crate::testing::TestServer;
    use crate::{AsyncTools, AsyncToolsBuilder, MemoryStore, Registry};

    fn builder(store: &MemoryStore) -> AsyncToolsBuilder {
        AsyncTools::builder()
            .registry(Registry::new().with(SleepTool))
            .store(store.clone())
            .drain(Duration::from_secs(10))
            .clock(Clock::tokio())
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_executes_what_a_server_without_slots_accepts() {
        let store = MemoryStore::with_clock(Clock::tokio());
        let server = TestServer::start(builder(&store).slots(0)).await;
        let early = server.call("sleep_initiate", json!({"seconds": 5})).await;
        assert_eq!(early["status"], "queued");

        let worker = builder(&store).build().await.expect("builds");
        let (ask, mut asked) = mpsc::unbounded_channel();
        let terminations = stream::poll_fn(move |context| asked.poll_recv(context));
        let worker = tokio::spawn(worker.work_until(terminations));
        let late = server.call("sleep_initiate", json!({"seconds": 5})).await;
        for task in [early, late] {
            let end = server.finish("sleep", task.id()).await;
            assert_eq!(end["status"], "completed", "{}", end.text);
        }

        // It drains, and a second signal ends that.
        let long = server.call("sleep_initiate", json!({"seconds": 60})).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let started = Instant::now();
        ask.send(()).expect("it listens");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!worker.is_finished());
        ask.send(()).expect("it listens");
        worker.await.expect("no panic");
        assert!(started.elapsed() < Duration::from_secs(4));
        let end = server.finish("sleep", long.id()).await;
        assert_eq!(end.error_code(), Some("interrupted"), "{}", end.text);
    }
}
