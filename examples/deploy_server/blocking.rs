//! Work that blocks its thread, and ends before whoever waits for it goes away.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinHandle, block_in_place, spawn_blocking};

use crate::error::DeployError;

/// How often a dropped future looks whether its work has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// Does what blocks its thread on one that may be blocked.
///
/// Dropping the future waits until the work has ended, unless it has not begun.
/// A server drops an attempt whose grace is over, and takes the drop's end for
/// the attempt's: the next deployment of the service may begin then, and must
/// not find this one still at work.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DeployError> + Send + 'static,
) -> Result<T, DeployError> {
    Work(spawn_blocking(work)).await?
}

struct Work<T>(JoinHandle<T>);

impl<T> Future for Work<T> {
    type Output = <JoinHandle<T> as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        if self.0.is_finished() {
            return;
        }
        self.0.abort();
        let wait = || {
            while !self.0.is_finished() {
                thread::sleep(PAUSE);
            }
        };
        let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
        match flavor {
            // The runtime's other work goes on elsewhere meanwhile.
            Ok(RuntimeFlavor::MultiThread) => block_in_place(wait),
            _ => wait(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_dropped_ends_with_its_work() {
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (end, ends) = mpsc::channel::<()>();
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        let mut attempt = tokio::spawn(blocking(move || {
            let _ = begun.send(());
            let _ = ends.recv();
            told.store(true, Ordering::SeqCst);
            Ok(())
        }));
        begins.await.unwrap();
        attempt.abort();
        let early = tokio::time::timeout(Duration::from_millis(50), &mut attempt).await;
        assert!(early.is_err(), "the work goes on");
        drop(end);
        assert!(attempt.await.unwrap_err().is_cancelled());
        assert!(ended.load(Ordering::SeqCst));
    }
}
