//! Serving a host that started this process.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::io::stdio_pipes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::AsyncTools;

/// The server could not be served.
#[derive(Debug, thiserror::Error)]
#[error("could not serve MCP on standard input and output")]
pub struct ServeError(#[source] Box<ServerInitializeError>);

/// How long answers to calls that were waiting may take to be written.
const FLUSH: Duration = Duration::from_millis(150);

impl AsyncTools {
    /// Serves MCP on standard input and output until the host closes the
    /// input or the process gets SIGTERM.
    ///
    /// When the input ends, the host is about to kill the process: attempts
    /// are asked to stop, waiting calls are answered, and everything is
    /// settled within 1.5 seconds. SIGTERM gives running attempts the drain
    /// time first; see [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    ///
    /// [`ServeError`] if the first message was no MCP handshake.
    pub async fn serve_stdio(self) -> Result<(), ServeError> {
        let (input, output) = stdio_pipes();
        self.serve_pipes(input, output, terminated()).await
    }

    /// [`serve_stdio`](Self::serve_stdio) over any pair of streams.
    pub(crate) async fn serve_pipes<R, W>(
        self,
        input: R,
        output: W,
        terminated: impl Future<Output = ()>,
    ) -> Result<(), ServeError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let ended = CancellationToken::new();
        let input = WatchEnd {
            input,
            ended: ended.clone(),
        };
        let serve = async {
            match self.clone().serve((input, output)).await {
                Ok(service) => {
                    // A panic of the service loop has been reported by its hook.
                    let _ = service.waiting().await;
                    Ok(())
                }
                // The host went away before it said anything.
                Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
                Err(error) => Err(ServeError(Box::new(error))),
            }
        };
        tokio::pin!(serve);
        let drain = tokio::select! {
            served = &mut serve => {
                self.shutdown_within(Duration::ZERO).await;
                return served;
            }
            () = ended.cancelled() => Duration::ZERO,
            () = terminated => self.shared().server.engine.config.drain,
        };
        // Answers go out while attempts are being stopped.
        let shutdown = self.shutdown_within(drain);
        tokio::pin!(shutdown);
        tokio::select! {
            () = &mut shutdown => {
                let _ = tokio::time::timeout(FLUSH, &mut serve).await;
            }
            _ = &mut serve => shutdown.await,
        }
        Ok(())
    }
}

/// Completes when the process is asked to end.
#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            tracing::warn!(%error, "cannot watch for SIGTERM");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

/// Tells when the input has ended: rmcp learns it too, but says so only after
/// all its calls were answered.
struct WatchEnd<R> {
    input: R,
    ended: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for WatchEnd<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let room = buffer.remaining() > 0;
        let polled = Pin::new(&mut self.input).poll_read(context, buffer);
        let at_end = match &polled {
            Poll::Ready(Ok(())) => room && buffer.filled().len() == before,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if at_end {
            self.ended.cancel();
        }
        polled
    }
}
