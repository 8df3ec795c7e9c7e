//! Counts the lines of a log by severity.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use regex::Regex;
use serde::Serialize;

/// How many lines of each severity a log has.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Lines read.
    pub lines: u64,
    /// Lines by severity.
    pub severities: BTreeMap<String, u64>,
}

/// Counts the severities in a log, taking the first one named in each line.
///
/// # Errors
///
/// When `log` cannot be read.
pub fn tally(log: impl BufRead) -> io::Result<Tally> {
    let severity = Regex::new(r"\b(TRACE|DEBUG|INFO|WARN|ERROR)\b").expect("the pattern is valid");
    let mut tally = Tally::default();
    for line in log.lines() {
        tally.lines += 1;
        if let Some(found) = severity.find(&line?) {
            *tally
                .severities
                .entry(found.as_str().to_lowercase())
                .or_default() += 1;
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_by_severity() {
        let log = "10:00 INFO up\n10:01 ERROR down\n10:02 INFO up again\n";
        let tally = tally(log.as_bytes()).unwrap();
        assert_eq!(tally.lines, 3);
        assert_eq!(tally.severities["info"], 2);
        assert_eq!(tally.severities["error"], 1);
    }

    #[test]
    fn takes_the_first_severity_of_a_line() {
        let tally = tally("WARN: retry after ERROR 7\n".as_bytes()).unwrap();
        assert_eq!(tally.severities.get("warn"), Some(&1));
        assert_eq!(tally.severities.get("error"), None);
    }

    #[test]
    fn lines_without_a_severity_are_only_counted() {
        let tally = tally("hello\nworld\n".as_bytes()).unwrap();
        assert_eq!((tally.lines, tally.severities.len()), (2, 0));
    }
}
