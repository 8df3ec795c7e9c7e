//! Follows `cargo test` once all is compiled: counts, and what failures print.

use async_tool::{Progress, Steps};
use cargo_metadata::Message;

use super::cargo::{Exit, Output};
use super::report::{TestFailure, TestReport, shorten};
use super::status::Status;

/// Most failures that are reported.
const MAX_FAILURES: usize = 50;
/// Most output of one test that is reported, in bytes.
const MAX_OUTPUT: usize = 2 * 1024;

/// Tests under way.
#[derive(Debug)]
pub(crate) struct TestRun<'a> {
    progress: &'a Progress,
    steps: &'a Steps,
    report: TestReport,
    /// Test programs started so far.
    started: u64,
    /// Index of the failure whose output is being read.
    reading: Option<usize>,
}

impl<'a> TestRun<'a> {
    /// Tests that have not begun. The first one enters the step `test`.
    pub(crate) fn new(progress: &'a Progress, steps: &'a Steps) -> Self {
        Self {
            progress,
            steps,
            report: TestReport::default(),
            started: 0,
            reading: None,
        }
    }

    /// Takes in what cargo says; `programs` is how many run tests.
    pub(crate) fn observe(&mut self, output: &Output<'_>, programs: usize) {
        match output {
            Output::Status(Status::Verb { verb, subject }) => self.verb(verb, subject, programs),
            Output::Message(message) => {
                if let Message::TextLine(line) = &**message {
                    self.line(line);
                }
            }
            Output::Status(_) => {}
        }
    }

    /// The report on tests of a cargo that has ended so.
    pub(crate) fn finish(mut self, exit: Exit) -> TestReport {
        self.report.success = exit.success;
        if !exit.success {
            self.report.problem = exit.tail;
        }
        self.report
    }

    /// Progress counts test programs, not tests: how many tests a program has
    /// is known only when it starts.
    fn verb(&mut self, verb: &str, subject: &str, programs: usize) {
        // Documentation tests are run by rustdoc, not by a program.
        let known = match verb {
            "Running" => programs as u64,
            "Doc-tests" => self.started + 1,
            _ => return,
        };
        self.steps.start("test");
        self.progress.total(known.max(self.started + 1));
        self.progress.set(self.started);
        self.progress.message(format!("testing {subject}"));
        self.started += 1;
    }

    fn line(&mut self, line: &str) {
        if let Some(test) = line.strip_prefix("test ")
            && let Some((name, outcome)) = test.rsplit_once(" ... ")
        {
            self.outcome(name, outcome);
        } else if let Some(header) = line.strip_prefix("---- ")
            && let Some(name) = header.strip_suffix(" stdout ----")
        {
            // The last one: two programs may have tests of one name.
            let failures = &self.report.failures;
            self.reading = failures.iter().rposition(|failure| failure.name == name);
        } else if line == "failures:" {
            self.reading = None;
        } else if let Some(index) = self.reading {
            let output = &mut self.report.failures[index].output;
            if output.len() < MAX_OUTPUT {
                output.push_str(line);
                output.push('\n');
                shorten(output, MAX_OUTPUT);
            }
        }
    }

    fn outcome(&mut self, name: &str, outcome: &str) {
        if outcome.starts_with("ok") {
            self.report.passed += 1;
        } else if outcome.starts_with("ignored") {
            self.report.ignored += 1;
        } else if outcome.starts_with("FAILED") {
            self.report.failed += 1;
            if self.report.failures.len() < MAX_FAILURES {
                self.report.failures.push(TestFailure {
                    name: name.to_owned(),
                    output: String::new(),
                });
            }
        }
    }
}
