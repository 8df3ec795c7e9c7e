//! Why a command did not do what it was asked.

use std::error::Error;
use std::fmt;
use std::io;

use async_tool_runtime::store::StoreError;

use crate::output::text::clean;

/// How a command ended that did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Exit status 0.
    Well,
    /// Something is wrong, or not there; that has been said. Exit status 1.
    Amiss,
}

/// Why one did not.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was said on the command line cannot be meant. Exit status 2.
    Usage(String),
    /// The store must not be used, or not like this. Exit status 1.
    Unfit(String),
    /// The store failed. Exit status 1.
    Store(StoreError),
    /// What was to be said or asked could not be. Exit status 1.
    Output(io::Error),
}

impl Failure {
    /// Whoever read what is written has seen enough.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// For people, on one line.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Unfit(message) => f.write_str(&clean(message)),
            Self::Store(error) => f.write_str(&clean(&chain(error))),
            Self::Output(error) => write!(f, "input or output failed: {error}"),
        }
    }
}

/// An error and what it comes from, each thing once: some say what their
/// source says.
pub(crate) fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_once_and_harmlessly() {
        let source = io::Error::other("no \x1b[31mroute");
        let error = StoreError::new("the server cannot be reached").with_source(source);
        assert_eq!(
            Failure::from(error).to_string(),
            "the server cannot be reached: no \\u{1b}[31mroute"
        );
        let error = StoreError::new("failed: no route").with_source(io::Error::other("no route"));
        assert_eq!(Failure::from(error).to_string(), "failed: no route");
    }
}
