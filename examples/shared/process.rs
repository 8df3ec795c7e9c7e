//! A child process with all that it starts, and its output line by line.

use std::io;
use std::process::{ExitStatus, Stdio};

use process_wrap::tokio::{ChildWrapper, CommandWrap};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{ChildStderr, ChildStdout, Command};

/// The variable in which a server may have the tokens of its callers.
const TOKENS: &str = "MCP_TOKENS";

/// A child process that leads a group of its own (a job, on Windows).
///
/// What is run starts processes of its own, as cargo starts compilers, which
/// start linkers; killing the leader alone would leave those running. Dropping this kills the whole group, so that a task that is
/// dropped half-way leaves nothing behind.
#[derive(Debug)]
pub(crate) struct ProcessGroup {
    leader: Box<dyn ChildWrapper>,
}

impl ProcessGroup {
    /// Starts the command, with nothing to read and its output piped.
    pub(crate) fn spawn(command: Command) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let mut command = CommandWrap::from(command);
        command
            .command_mut()
            // Callers' tokens are none of its business.
            .env_remove(TOKENS)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        command.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        command.wrap(process_wrap::tokio::JobObject);

        let mut leader = command.spawn()?;
        let pipes = (leader.stdout().take(), leader.stderr().take());
        let group = Self { leader };
        match pipes {
            (Some(stdout), Some(stderr)) => Ok((group, stdout, stderr)),
            _ => Err(io::Error::other("the child's output is not piped")),
        }
    }

    /// Waits for the leader.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.leader.wait().await
    }

    /// Kills all of the group and waits for the leader. There is no asking
    /// first: what the examples run is made to survive it, and a caller who
    /// cancels wants the processor back.
    pub(crate) async fn kill(&mut self) {
        self.start_kill();
        let _ = self.wait().await;
    }

    /// Kills what the leader left behind. Only for a group that is known to
    /// have members: the id of an empty one may belong to others.
    pub(crate) fn kill_leftovers(&mut self) {
        let _ = self.leader.start_kill();
    }

    fn start_kill(&mut self) {
        // A leader that has been waited for has no id any more.
        if self.leader.id().is_some() {
            let _ = self.leader.start_kill();
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.start_kill();
    }
}

/// The lines of a child's output. No line takes more than `limit` bytes of
/// memory: the rest of a longer one is thrown away.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    separators: &'static [u8],
    limit: usize,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines that end with any of `separators`.
    pub(crate) fn new(reader: R, separators: &'static [u8], limit: usize) -> Self {
        Self {
            reader: BufReader::new(reader),
            separators,
            limit,
            line: Vec::new(),
        }
    }

    /// The next line, without its separator; `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a line begun is kept here.
    pub(crate) async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            let bytes = self.reader.fill_buf().await?;
            if bytes.is_empty() {
                return Ok((!self.line.is_empty()).then(|| self.take()));
            }
            let end = bytes.iter().position(|byte| self.separators.contains(byte));
            let text = &bytes[..end.unwrap_or(bytes.len())];
            let room = self.limit.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            let used = text.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(output: &[u8], limit: usize) -> Vec<String> {
        let mut lines = Lines::new(output, b"\r\n", limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn lines_end_with_any_separator_and_with_the_output() {
        let expected = ["one", "two", "", "three"];
        assert_eq!(lines(b"one\rtwo\r\nthree", 100).await, expected);
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let mut output = vec![b'x'; 100_000];
        output.extend_from_slice(b"\nnext\n");
        assert_eq!(lines(&output, 5).await, ["xxxxx", "next"]);
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(lines(b"a\xffb\n", 100).await, ["a\u{fffd}b"]);
    }
}
