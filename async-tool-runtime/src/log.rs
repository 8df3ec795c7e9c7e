//! The bounded log of a task.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::Clock;
use crate::progress::shortened;
use crate::store::LogLine;

/// Longest line that is kept, in characters; the rest is cut.
const MAX_LINE: usize = 500;

/// What one attempt logs: its last lines, and which of them the store knows.
#[derive(Debug)]
pub(crate) struct TaskLog {
    clock: Clock,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    last: VecDeque<LogLine>,
    next: u64,
    /// Number of the last line that the store has.
    stored: u64,
}

impl TaskLog {
    /// The log of this attempt, whose lines come after those of earlier ones.
    pub(crate) fn new(attempt: u32, clock: Clock) -> Self {
        let first = (u64::from(attempt) << 32) + 1;
        Self {
            clock,
            lines: Mutex::new(Lines {
                last: VecDeque::new(),
                next: first,
                stored: 0,
            }),
        }
    }

    pub(crate) fn append(&self, text: String) {
        let mut text = shortened(text, MAX_LINE);
        if text.contains(['\n', '\r']) {
            text = text.replace(['\n', '\r'], " ");
        }
        let at = self.clock.now();
        let mut lines = self.lines();
        let number = lines.next;
        lines.next += 1;
        if lines.last.len() == LogLine::KEPT {
            lines.last.pop_front();
        }
        lines.last.push_back(LogLine::new(number, at, text));
    }

    /// The lines that the store does not know.
    pub(crate) fn unstored(&self) -> Vec<LogLine> {
        let lines = self.lines();
        let known = lines.stored;
        let unstored = lines.last.iter().filter(|line| line.number > known);
        unstored.cloned().collect()
    }

    /// Remembers that the store has these.
    pub(crate) fn stored(&self, known: &[LogLine]) {
        if let Some(last) = known.last() {
            let mut lines = self.lines();
            lines.stored = lines.stored.max(last.number);
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a log of which the store has one part and the running attempt
/// another.
pub(crate) fn tail(mut stored: Vec<LogLine>, unstored: Vec<LogLine>, limit: usize) -> Vec<LogLine> {
    let last = stored.last().map_or(0, |line| line.number);
    stored.extend(unstored.into_iter().filter(|line| line.number > last));
    let surplus = stored.len().saturating_sub(limit);
    stored.split_off(surplus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[LogLine]) -> Vec<&str> {
        lines.iter().map(|line| &*line.text).collect()
    }

    #[test]
    fn lines_are_kept_until_the_store_has_them() {
        let log = TaskLog::new(1, Clock::system());
        log.append("one".into());
        log.append("two\nlines".into());
        let sent = log.unstored();
        assert_eq!(texts(&sent), ["one", "two lines"]);
        log.append("three".into());
        assert_eq!(log.unstored().len(), 3, "nothing has been acknowledged");
        log.stored(&sent);
        assert_eq!(texts(&log.unstored()), ["three"]);
    }

    #[test]
    fn number_and_length_of_lines_are_bounded() {
        let log = TaskLog::new(1, Clock::system());
        for number in 0..1000 {
            log.append(number.to_string());
        }
        let lines = log.unstored();
        assert_eq!(lines.len(), LogLine::KEPT);
        assert_eq!(lines.last().map(|line| &*line.text), Some("999"));
        log.append("x".repeat(100_000));
        let longest = log
            .unstored()
            .into_iter()
            .map(|line| line.text.chars().count());
        assert_eq!(longest.max(), Some(MAX_LINE));
    }

    #[test]
    fn later_attempts_come_later() {
        let (first, second) = (
            TaskLog::new(1, Clock::system()),
            TaskLog::new(2, Clock::system()),
        );
        first.append("a".into());
        second.append("b".into());
        let all = tail(first.unstored(), second.unstored(), 50);
        assert_eq!(texts(&all), ["a", "b"]);
        let again = tail(all.clone(), second.unstored(), 1);
        assert_eq!(texts(&again), ["b"]);
    }
}
