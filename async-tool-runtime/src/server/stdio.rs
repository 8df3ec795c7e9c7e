//! Serving a host that started this process.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use futures_util::StreamExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::Transport;
use rmcp::transport::io::stdio_pipes;
use rmcp::{RoleServer, ServerHandler, ServiceExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::shim::Shim;
#[cfg(feature = "streamable-http")]
use super::shim::http::HttpLayer;
use super::shim::pipe::Pipe;
use super::signals::terminations;
use super::{AsyncTools, Composed};

/// The server could not be served.
#[derive(Debug, thiserror::Error)]
#[error("could not serve MCP on standard input and output")]
pub struct ServeError(#[source] Box<ServerInitializeError>);

/// How long answers to calls that were waiting may take to be written.
const FLUSH: Duration = Duration::from_millis(150);

impl AsyncTools {
    /// Serves MCP on standard input and output until the host closes the
    /// input or the process gets SIGTERM or Ctrl-C.
    ///
    /// When the input ends, the host is about to kill the process: attempts
    /// are asked to stop, waiting calls are answered, and everything is
    /// settled within 1.5 seconds. A signal gives running attempts the drain
    /// time first, which a second signal ends; see
    /// [`shutdown`](Self::shutdown).
    ///
    /// Two things are not in its power. Lines that rmcp cannot parse as JSON
    /// (`NaN`, nesting deeper than 128, bytes that are no UTF-8) or that are
    /// longer than 16 MiB are dropped without an answer, for there is no
    /// request id to answer to. And a tokio runtime, so `#[tokio::main]` too,
    /// does not end before the work given to `spawn_blocking` does: where tools
    /// ignore their cancellation in there, end the process with
    /// [`Runtime::shutdown_timeout`](tokio::runtime::Runtime::shutdown_timeout)
    /// or [`std::process::exit`] after this returns.
    ///
    /// # Errors
    ///
    /// [`ServeError`] if the first message was no MCP handshake.
    pub async fn serve_stdio(self) -> Result<(), ServeError> {
        // Before the first call can come: until somebody listens to it, a
        // signal kills the process, with whatever it has begun.
        let terminations = terminations();
        let (input, output) = stdio_pipes();
        let handler = self.clone();
        self.serve_pipes(handler, input, output, terminations).await
    }

    /// MCP over a pair of streams, such as those of a socket: a transport for
    /// rmcp to serve these tools with, alone or [wrapped](Self::wrap) around
    /// another handler.
    ///
    /// It adds what rmcp's own transports lack: the core tasks of protocol
    /// 2025-11-25, and `taskIds` in the subscriptions of 2026-07-28. Over those
    /// everything else works all the same.
    /// [`serve_stdio`](Self::serve_stdio) speaks through it.
    ///
    /// ```no_run
    /// # use async_tool_runtime::AsyncTools;
    /// use rmcp::ServiceExt;
    ///
    /// # async fn serve(tools: AsyncTools) -> Result<(), Box<dyn std::error::Error>> {
    /// let (near, _far) = tokio::io::duplex(65_536);
    /// let (input, output) = tokio::io::split(near);
    /// let transport = tools.transport(input, output);
    /// tools.serve(transport).await?.waiting().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn transport<R, W>(
        &self,
        input: R,
        output: W,
    ) -> impl Transport<RoleServer, Error = io::Error> + use<R, W>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        Pipe::new(self.shim(), input, output)
    }

    /// What to put around rmcp's `StreamableHttpService`, around one of these
    /// tools as around one of a handler that they [wrap](Self::wrap).
    ///
    /// It adds what that service lacks: the core tasks of protocol 2025-11-25,
    /// and `taskIds` in the subscriptions of 2026-07-28. Without it older clients
    /// have no tasks, and who listens with `taskIds` hears nothing; everything
    /// else works. It reads the body of each `POST`, and passes what does not
    /// concern either as it came. Put it next to that service, below layers that
    /// change answers.
    ///
    /// rmcp ends a session in which nothing was sent for five minutes, and with
    /// it a call that waits in silence: raise `session_config.keep_alive` of
    /// its `LocalSessionManager` above the longest task.
    ///
    /// ```ignore
    /// let service = StreamableHttpService::new(move || Ok(handler.clone()), sessions, config);
    /// let router = Router::new().nest_service("/mcp", tools.http_layer().layer(service));
    /// ```
    #[cfg(feature = "streamable-http")]
    pub fn http_layer(&self) -> HttpLayer {
        HttpLayer::new(self.shim())
    }

    pub(crate) fn shim(&self) -> Shim {
        Shim {
            native: self.shared().server.families.has_native(),
        }
    }

    /// [`serve_stdio`](Self::serve_stdio) of a handler over any pair of streams,
    /// with a stream of requests to end.
    pub(crate) async fn serve_pipes<R, W>(
        self,
        handler: impl ServerHandler,
        input: R,
        output: W,
        mut terminations: impl Stream<Item = ()> + Unpin,
    ) -> Result<(), ServeError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let ended = CancellationToken::new();
        let input = WatchEnd {
            input,
            ended: ended.clone(),
        };
        let serve = async {
            match handler.serve(self.transport(input, output)).await {
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
        // In this order, so that it is no matter of luck: what could not be
        // served is an error, and a host that is gone waits for no drain.
        let drain = tokio::select! {
            biased;
            served = &mut serve => {
                self.shutdown_within(Duration::ZERO).await;
                return served;
            }
            () = ended.cancelled() => Duration::ZERO,
            Some(()) = terminations.next() => self.shared().server.engine.config.drain,
        };
        // A host that closes the input after a signal has no time for a drain,
        // and who sends a second one no patience.
        let hurry = async {
            tokio::select! {
                () = ended.cancelled() => {}
                Some(()) = terminations.next() => {}
            }
        };
        tokio::select! {
            biased;
            () = self.shutdown_within(drain) => {}
            () = hurry, if !drain.is_zero() => {
                self.shutdown_within(Duration::ZERO).await;
            }
        }
        // rmcp's own task writes the answers to calls that were waiting.
        let _ = tokio::time::timeout(FLUSH, serve).await;
        Ok(())
    }
}

impl<H: ServerHandler> Composed<H> {
    /// Serves both sides on standard input and output, as
    /// [`AsyncTools::serve_stdio`] does: when it ends, so do the tools.
    ///
    /// # Errors
    ///
    /// [`ServeError`] if the first message was no MCP handshake.
    pub async fn serve_stdio(self) -> Result<(), ServeError> {
        let terminations = terminations();
        let (input, output) = stdio_pipes();
        let tools = self.host();
        tools.serve_pipes(self, input, output, terminations).await
    }
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

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use rmcp::model::CallToolRequestParams;
    use rmcp::{RoleClient, service::RunningService};
    use serde_json::json;
    use tokio::io::DuplexStream;
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;
    use crate::engine::Clock;
    use crate::test_tool::SleepTool;
    use crate::{MemoryStore, Registry};

    struct Host {
        client: RunningService<RoleClient, ()>,
        server: JoinHandle<Result<(), ServeError>>,
        terminate: mpsc::UnboundedSender<()>,
        tools: AsyncTools,
    }

    impl Host {
        fn terminate(&self) {
            self.terminate.send(()).expect("the server listens");
        }
    }

    async fn host() -> Host {
        let tools = AsyncTools::builder()
            .registry(Registry::new().with(SleepTool))
            .store(MemoryStore::with_clock(Clock::tokio()))
            .drain(Duration::from_secs(10))
            .build()
            .await
            .expect("builds");
        let (client_end, server_end): (DuplexStream, DuplexStream) = tokio::io::duplex(4096);
        let (input, output) = tokio::io::split(server_end);
        let (terminate, mut asked) = mpsc::unbounded_channel();
        let terminations = stream::poll_fn(move |context| asked.poll_recv(context));
        let server = tokio::spawn(tools.clone().serve_pipes(
            tools.clone(),
            input,
            output,
            terminations,
        ));
        let client = ().serve(client_end).await.expect("handshake");
        Host {
            client,
            server,
            terminate,
            tools,
        }
    }

    async fn call(
        client: &RunningService<RoleClient, ()>,
        name: &str,
        arguments: serde_json::Value,
    ) -> serde_json::Value {
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let params = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let result = client.call_tool(params).await.expect("answered");
        result.structured_content.expect("structured")
    }

    async fn status_in_store(tools: &AsyncTools, id: &str) -> crate::store::Status {
        let id = id.parse().expect("an id");
        tools.shared().server.engine.stored_status(id).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_input_settles_everything_within_a_second_and_a_half() {
        let host = host().await;
        let task = call(&host.client, "sleep_initiate", json!({"seconds": 3600})).await;
        let id = task["task_id"].as_str().expect("an id").to_owned();
        let closed = Instant::now();
        drop(host.client);
        host.server.await.expect("no panic").expect("served");
        assert!(
            closed.elapsed() <= Duration::from_millis(1500),
            "{:?}",
            closed.elapsed()
        );
        let status = status_in_store(&host.tools, &id).await;
        assert_eq!(status, crate::store::Status::Failed);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_input_cuts_the_grace_of_what_was_being_cancelled() {
        let host = host().await;
        let stubborn = json!({"seconds": 3600, "stubborn": true});
        let task = call(&host.client, "sleep_initiate", stubborn).await;
        let id = task["task_id"].as_str().expect("an id").to_owned();
        let cancelled = call(&host.client, "sleep_cancel", json!({ "task_id": id })).await;
        assert_eq!(cancelled["done"], false);
        drop(host.client);
        host.server.await.expect("no panic").expect("served");
        let status = status_in_store(&host.tools, &id).await;
        assert_eq!(status, crate::store::Status::Cancelled);
    }

    #[tokio::test(start_paused = true)]
    async fn sigterm_drains_first() {
        let host = host().await;
        let short = call(&host.client, "sleep_initiate", json!({"seconds": 5})).await;
        let long = call(&host.client, "sleep_initiate", json!({"seconds": 3600})).await;
        let asked = Instant::now();
        host.terminate();
        host.server.await.expect("no panic").expect("served");
        assert!(
            asked.elapsed() <= Duration::from_millis(11_500),
            "{:?}",
            asked.elapsed()
        );
        let statuses = [
            status_in_store(&host.tools, short["task_id"].as_str().unwrap_or_default()).await,
            status_in_store(&host.tools, long["task_id"].as_str().unwrap_or_default()).await,
        ];
        assert_eq!(
            statuses,
            [
                crate::store::Status::Completed,
                crate::store::Status::Failed
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_input_cuts_a_drain_short() {
        let host = host().await;
        call(&host.client, "sleep_initiate", json!({"seconds": 3600})).await;
        host.terminate();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let closed = Instant::now();
        drop(host.client);
        host.server.await.expect("no panic").expect("served");
        assert!(
            closed.elapsed() <= Duration::from_millis(1500),
            "{:?}",
            closed.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_cuts_a_drain_short() {
        let host = host().await;
        let task = call(&host.client, "sleep_initiate", json!({"seconds": 3600})).await;
        host.terminate();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!host.server.is_finished());
        let asked = Instant::now();
        host.terminate();
        host.server.await.expect("no panic").expect("served");
        assert!(
            asked.elapsed() <= Duration::from_millis(1500),
            "{:?}",
            asked.elapsed()
        );
        let id = task["task_id"].as_str().expect("an id");
        assert_eq!(
            status_in_store(&host.tools, id).await,
            crate::store::Status::Failed
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_signals_that_ends_asks_for_nothing() {
        let Host {
            client,
            server,
            terminate,
            ..
        } = host().await;
        drop(terminate);
        let long = call(&client, "sleep_initiate", json!({"seconds": 60})).await;
        let wait = json!({"task_id": long["task_id"], "wait_seconds": 50});
        call(&client, "sleep_status", wait).await;
        assert!(!server.is_finished());
    }

    /// Without a handler the signal would kill the process that runs this.
    #[cfg(unix)]
    #[tokio::test]
    async fn signals_are_caught_before_anybody_polls_for_them() {
        let mut terminations = terminations();
        for signal in ["TERM", "INT"] {
            let sent = std::process::Command::new("sh")
                .args(["-c", "kill -s \"$0\" \"$1\"", signal])
                .arg(std::process::id().to_string())
                .status();
            assert!(sent.is_ok_and(|status| status.success()));
            assert_eq!(terminations.next().await, Some(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_says_nothing_is_no_error() {
        let tools = AsyncTools::builder()
            .registry(Registry::new().with(SleepTool))
            .build()
            .await
            .expect("builds");
        let handler = tools.clone();
        let (input, output) = (tokio::io::empty(), tokio::io::sink());
        let served = tools.serve_pipes(handler, input, output, stream::pending());
        assert!(served.await.is_ok());
    }
}
