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
