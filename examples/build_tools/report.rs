//! What callers get: results of the tools, and the details of a failure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A project that was built.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct BuildReport {
    /// The profile it was built with.
    pub(crate) profile: Profile,
    /// How long the build took.
    pub(crate) seconds: f64,
    /// How many crates were compiled, those already up to date not counted.
    pub(crate) crates_compiled: u64,
    /// The programs of the project.
    pub(crate) binaries: Vec<Binary>,
    /// What the compiler warns of.
    pub(crate) warnings: Vec<Diagnostic>,
    /// How many further warnings there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) warnings_omitted: usize,
}

/// A profile of cargo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Profile {
    /// Not optimised.
    Dev,
    /// Optimised.
    Release,
}

/// A program that was built.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Binary {
    /// Its name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub(crate) sha256: String,
}

/// A project whose tests have run, well or not.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TestReport {
    /// Whether all tests passed.
    pub(crate) success: bool,
    /// How long compiling and testing took.
    pub(crate) seconds: f64,
    /// How many tests passed.
    pub(crate) passed: usize,
    /// How many tests failed.
    pub(crate) failed: usize,
    /// How many tests were left out because they are marked so.
    pub(crate) ignored: usize,
    /// The tests that failed; the first 50 if there are more.
    pub(crate) failures: Vec<TestFailure>,
    /// What cargo says about it, for instance that a test program crashed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) problem: String,
}

/// A test that failed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TestFailure {
    /// The test's path.
    pub(crate) name: String,
    /// What it printed.
    pub(crate) output: String,
}

/// What the compiler has to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Diagnostic {
    /// How bad it is.
    pub(crate) level: Level,
    /// What is wrong, in one line.
    pub(crate) message: String,
    /// The file, as the compiler names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// The line in the file; 1 is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// All of it, as the compiler prints it.
    pub(crate) rendered: String,
}

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// The crate does not compile.
    Error,
    /// The crate compiles.
    Warning,
}

/// Details of the error `compile_failed`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CompileFailure {
    /// What the compiler reports.
    pub(crate) errors: Vec<Diagnostic>,
    /// How many further errors there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) errors_omitted: usize,
    /// What cargo says where the compiler reports nothing: a build script may
    /// have failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) output: String,
}

/// Diagnostics of a kind, no more of them than a caller can use.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    pub(crate) kept: Vec<Diagnostic>,
    pub(crate) omitted: usize,
    bytes: usize,
}

impl Diagnostics {
    /// Most diagnostics that are kept.
    const MAX: usize = 50;
    /// Most text of one that is kept, in bytes.
    const MAX_RENDERED: usize = 4 * 1024;
    /// Most text of all that is kept. Whoever asked may be a model, which
    /// pays for each byte and gains nothing from the hundredth error.
    const MAX_TOTAL: usize = 24 * 1024;

    pub(crate) fn add(&mut self, mut diagnostic: Diagnostic) {
        shorten(&mut diagnostic.message, Self::MAX_RENDERED);
        shorten(&mut diagnostic.rendered, Self::MAX_RENDERED);
        // A library is compiled once more for its tests and says all again.
        if self.kept.contains(&diagnostic) {
            return;
        }
        let bytes = self.bytes + diagnostic.message.len() + diagnostic.rendered.len();
        if self.kept.len() == Self::MAX || bytes > Self::MAX_TOTAL {
            self.omitted += 1;
            return;
        }
        self.bytes = bytes;
        self.kept.push(diagnostic);
    }
}

/// Cuts a text to at most `limit` bytes, with an ellipsis for the rest.
pub(crate) fn shorten(text: &mut String, limit: usize) {
    if text.len() > limit {
        let mut end = limit - '…'.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(message: &str, bytes: usize) -> Diagnostic {
        Diagnostic {
            level: Level::Error,
            message: message.to_owned(),
            file: None,
            line: None,
            rendered: "é".repeat(bytes / 2),
        }
    }

    #[test]
    fn repeated_diagnostics_are_kept_once() {
        let mut diagnostics = Diagnostics::default();
        diagnostics.add(diagnostic("same", 10));
        diagnostics.add(diagnostic("same", 10));
        assert_eq!((diagnostics.kept.len(), diagnostics.omitted), (1, 0));
    }

    #[test]
    fn diagnostics_are_bounded_in_number_and_in_size() {
        let mut many = Diagnostics::default();
        (0..60).for_each(|number| many.add(diagnostic(&number.to_string(), 10)));
        assert_eq!((many.kept.len(), many.omitted), (50, 10));

        let mut long = Diagnostics::default();
        (0..60).for_each(|number| long.add(diagnostic(&number.to_string(), 1_000_000)));
        assert_eq!((long.kept.len(), long.omitted), (6, 54));
        assert!(long.kept.iter().all(|one| one.rendered.ends_with("é…")));
    }
}
