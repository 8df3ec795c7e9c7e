//! Streams of lines: standard input and output, sockets, pipes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::Either;
use rmcp::RoleServer;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::{AsyncRwTransport, DEFAULT_MAX_LINE_LENGTH};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Shim;
use super::outbound::outbound;

const CHUNK: usize = 8 * 1024;

/// Speaks MCP over a pair of streams.
pub(crate) struct Pipe<R: AsyncRead + Unpin, W: AsyncWrite>(
    AsyncRwTransport<RoleServer, Lines<R>, W>,
);

impl<R, W> Pipe<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub(crate) fn new(shim: Shim, input: R, output: W) -> Self {
        Self(AsyncRwTransport::new(Lines::new(shim, input), output))
    }
}

impl<R, W> Transport<RoleServer> for Pipe<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        match outbound(message) {
            Some(message) => Either::Left(self.0.send(message)),
            None => Either::Right(std::future::ready(Ok(()))),
        }
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleServer>>> + Send {
        self.0.receive()
    }

    fn close(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.0.close()
    }
}

/// The lines of a stream, as rmcp is to read them.
struct Lines<R> {
    shim: Shim,
    input: R,
    chunk: Box<[u8]>,
    /// The beginning of a line.
    line: Vec<u8>,
    /// What has not been read yet.
    ready: Vec<u8>,
    at: usize,
    /// Inside of a line that is too long for rmcp, which will say so.
    passing: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(shim: Shim, input: R) -> Self {
        Self {
            shim,
            input,
            chunk: vec![0; CHUNK].into(),
            line: Vec::new(),
            ready: Vec::new(),
            at: 0,
            passing: false,
        }
    }

    /// Takes the next bytes of the input, of which there are `count`.
    fn take(&mut self, count: usize) {
        self.ready.clear();
        self.at = 0;
        for piece in self.chunk[..count].split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            if self.passing {
                self.ready.extend_from_slice(piece);
                self.passing = !ends;
                continue;
            }
            self.line.extend_from_slice(piece);
            if ends && let Some(altered) = self.shim.inbound(&self.line) {
                self.ready.extend_from_slice(&altered.message);
                self.ready.push(b'\n');
                self.line.clear();
            } else if ends || self.line.len() > DEFAULT_MAX_LINE_LENGTH {
                self.ready.append(&mut self.line);
                self.passing = !ends;
            }
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Lines<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.at == this.ready.len() {
            let mut chunk = ReadBuf::new(&mut this.chunk);
            ready!(Pin::new(&mut this.input).poll_read(context, &mut chunk))?;
            match chunk.filled().len() {
                // An unfinished line is nothing.
                0 => return Poll::Ready(Ok(())),
                count => this.take(count),
            }
        }
        let left = &this.ready[this.at..];
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        this.at += count;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// Gives so many bytes at once.
    struct Drips<'a>(&'a [u8], usize);

    impl AsyncRead for Drips<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let count = self.1.min(self.0.len()).min(buffer.remaining());
            let (now, later) = self.0.split_at(count);
            buffer.put_slice(now);
            self.0 = later;
            Poll::Ready(Ok(()))
        }
    }

    async fn read(input: &[u8], drip: usize) -> String {
        let mut lines = Lines::new(Shim { native: true }, Drips(input, drip));
        let mut read = String::new();
        lines.read_to_string(&mut read).await.expect("UTF-8");
        read
    }

    #[tokio::test]
    async fn lines_are_whole_however_they_come() {
        let input = concat!(
            "{\"id\":1,\"method\":\"ping\"}\r\n",
            "\n",
            "{\"id\":2,\"method\":\"tasks/get\"}\n",
            "no JSON \"task\" at all ✓\n",
            "{\"id\":3,\"method\":\"tools/list\"}\n",
            "{\"id\":4,\"method\":\"tasks/get\"} unfinished",
        );
        let expected = concat!(
            "{\"id\":1,\"method\":\"ping\"}\r\n",
            "\n",
            "{\"id\":2,\"method\":\"async-tool/2025-11-25/tasks/get\"}\n",
            "no JSON \"task\" at all ✓\n",
            "{\"id\":3,\"method\":\"async-tool/2025-11-25/tools/list\"}\n",
        );
        for drip in 1..input.len() {
            assert_eq!(read(input.as_bytes(), drip).await, expected, "{drip}");
        }
    }

    #[tokio::test]
    async fn what_is_too_long_for_rmcp_passes_unread_and_is_not_kept() {
        let mut input = vec![b'x'; DEFAULT_MAX_LINE_LENGTH * 2];
        input.extend(b"\n{\"id\":1,\"method\":\"tasks/get\"}\n");
        let mut lines = Lines::new(Shim { native: true }, &input[..]);
        let mut read = Vec::new();
        lines.read_to_end(&mut read).await.expect("read");
        assert_eq!(read.len(), input.len() + "async-tool/2025-11-25/".len());
        assert!(lines.line.capacity() <= DEFAULT_MAX_LINE_LENGTH * 2);
    }
}
