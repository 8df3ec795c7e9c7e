//! Parts that need a process of their own, and servers that are one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use async_tool::{AsyncTools, SqliteStore};
use rmcp::transport::TokioChildProcess;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin};

use crate::support::BoxError;
use crate::support::client::Client;
use crate::support::http::HttpServer;
use crate::support::tools::echo_builder;

/// The argument that makes a process a [`Server`].
pub(crate) const SERVE: &str = "serve";

/// This program.
pub(crate) fn this() -> Result<PathBuf, BoxError> {
    Ok(std::env::current_exe()?)
}

/// Runs to the end; an error unless that was a good one.
pub(crate) fn run(command: &mut Command) -> Result<(), BoxError> {
    let status = command.status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("a part failed: {status}").into())
    }
}

/// Runs a part in a fresh process.
pub(crate) fn part(name: &str) -> Result<(), BoxError> {
    run(Command::new(this()?).args(["--bench", name]))
}

/// A stdio server of `echo` in a process of its own, and its client.
pub(crate) struct Server {
    pub(crate) client: Client,
    pub(crate) pid: u32,
}

impl Server {
    /// Starts a server on an SQLite file.
    pub(crate) async fn start(file: &Path, slots: usize) -> Result<Self, BoxError> {
        let mut command = tokio::process::Command::new(this()?);
        let slots = slots.to_string();
        command.args([
            OsStr::new("--bench"),
            SERVE.as_ref(),
            file.as_ref(),
            slots.as_ref(),
        ]);
        let child = TokioChildProcess::new(command)?;
        let pid = child.id().ok_or("the server has ended")?;
        let client = Client::connect(child).await?;
        Ok(Self { client, pid })
    }

    /// Ends the process, after what it is doing.
    pub(crate) async fn stop(self) -> Result<(), BoxError> {
        self.client.close().await
    }
}

/// What such a process does.
pub(crate) async fn serve(file: &str, slots: &str) -> Result<(), BoxError> {
    let store = SqliteStore::open(file).await?;
    let tools: AsyncTools = echo_builder(store).slots(slots.parse()?).build().await?;
    Ok(tools.serve_stdio().await?)
}

/// A server over HTTP in a process of its own.
pub(crate) struct HttpProcess {
    pub(crate) uri: String,
    pub(crate) pid: u32,
    child: Child,
    input: ChildStdin,
}

impl HttpProcess {
    /// Starts this program with arguments that make it [`serve`](Self::serve).
    pub(crate) async fn start<S: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Self, BoxError> {
        let mut child = tokio::process::Command::new(this()?)
            .arg("--bench")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().ok_or("the server has ended")?;
        let input = child.stdin.take().ok_or("the server has no input")?;
        let output = child.stdout.take().ok_or("the server has no output")?;
        let mut uri = String::new();
        BufReader::new(output).read_line(&mut uri).await?;
        Ok(Self {
            uri: uri.trim().to_owned(),
            pid,
            child,
            input,
        })
    }

    /// Ends it as a host would, and expects a good end.
    pub(crate) async fn stop(mut self) -> Result<(), BoxError> {
        drop(self.input);
        let status = self.child.wait().await?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the server ended badly: {status}").into())
        }
    }

    /// What such a process does: serves until its input ends.
    pub(crate) async fn serve(tools: AsyncTools) -> Result<(), BoxError> {
        let server = HttpServer::of(tools.clone()).await?;
        println!("{}", server.uri);
        let mut input = Vec::new();
        tokio::io::stdin().read_to_end(&mut input).await?;
        tools.shutdown().await;
        Ok(())
    }
}
