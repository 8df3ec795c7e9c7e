//! The server of this crate, as a process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// What clients start that talk to a server over stdio.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture");

/// A server over HTTP. It ends when this is dropped, or with the test.
#[derive(Debug)]
pub(crate) struct Fixture {
    child: Child,
    url: String,
}

impl Fixture {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(PROGRAM)
            .arg("--http")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut url = String::new();
        let stdout = child.stdout.take().expect("it is a pipe");
        BufReader::new(stdout)
            .read_line(&mut url)
            .expect("it says its URL");
        Self {
            child,
            url: url.trim().to_owned(),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
