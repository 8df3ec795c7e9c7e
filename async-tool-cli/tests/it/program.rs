//! Running the program.

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::process::Command;

/// The program on a store.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    url: String,
    namespace: String,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) notes: String,
}

impl Program {
    pub(crate) fn on(url: impl Into<String>, namespace: &str) -> Self {
        Self {
            url: url.into(),
            namespace: namespace.to_owned(),
        }
    }

    /// To be started as the test likes.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare();
        command
            .env("ASYNC_TOOL_STORE", &self.url)
            .env("ASYNC_TOOL_NAMESPACE", &self.namespace)
            .args(arguments);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        run(self.command(arguments)).await
    }

    /// The document that a command writes that does what it is asked.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        ran.document()
    }
}

/// The program, without what this environment says to it.
pub(crate) fn bare() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_async-tool"));
    command
        .env_remove("ASYNC_TOOL_STORE")
        .env_remove("ASYNC_TOOL_NAMESPACE")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

pub(crate) async fn run(mut command: Command) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().await.expect("it starts");
    Ran {
        code: status.code(),
        out: String::from_utf8(stdout).expect("text"),
        notes: String::from_utf8(stderr).expect("text"),
    }
}

impl Ran {
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
