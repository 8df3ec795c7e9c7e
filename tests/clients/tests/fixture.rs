//! The server of this crate, as a process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// What clients start that talk to a server over stdio.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_fixture");

/// A server over HTTP. It ends when this is dropped, or with the test.
#[derive(Debug)]
pub(crate) struct Fixture(Served);

impl Fixture {
    pub(crate) fn start() -> Self {
        Self(Served::start(PROGRAM, &["--http"]))
    }

    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }
}

/// A program that serves HTTP, and says where.
#[derive(Debug)]
pub(crate) struct Served {
    child: Child,
    url: String,
}

impl Served {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
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

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
