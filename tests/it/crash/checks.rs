//! What must hold of everything that the ledger says, and of how tasks ended.

use std::collections::{HashMap, HashSet};

use async_tool::testing::Answer;

use super::callers::Accepted;
use super::ledger::{Event, Line};
use super::tools::{STARTS, STEPS, TRIES};

/// How often things happened: a test in which they did not would prove
/// nothing.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) completed: usize,
    pub(crate) failed: usize,
    pub(crate) cancelled: usize,
    /// Interrupted, and not started again.
    pub(crate) interrupted: usize,
    /// Bodies that began after their task had been interrupted.
    pub(crate) started_again: usize,
    /// Steps that were not repeated because they had been recorded.
    pub(crate) steps_spared: usize,
    /// Tasks that were taken from processes that lived: the machine was too
    /// slow for their leases.
    pub(crate) taken_from_the_living: usize,
}

/// How a task ended must be possible.
pub(crate) fn check_end(task: &Accepted, end: &Answer, log: Log, counts: &mut Counts) {
    let text = &end.text;
    let attempt = end["attempt"].as_u64().unwrap_or(1);
    match end["status"].as_str() {
        Some("completed") => {
            counts.completed += 1;
            let result = task.result.expect("only what succeeds is completed");
            assert_eq!(end["result"], result, "{task:?}: {text}");
            if task.tool == "staged" {
                check_log(end, attempt, log);
            }
        }
        Some("cancelled") => {
            counts.cancelled += 1;
            assert!(task.may_be_cancelled, "nobody asked: {text}");
            assert_eq!(end["message"], "enough", "{text}");
        }
        Some("failed") => {
            counts.failed += 1;
            match end.error_code() {
                Some("interrupted") => {
                    counts.interrupted += 1;
                    // Those that may be started again are, up to the limit.
                    if matches!(task.tool, "staged" | "keyed") {
                        assert_eq!(attempt, u64::from(STARTS), "{text}");
                    }
                }
                Some("busy") => {
                    assert_eq!((task.tool, task.result), ("flaky", None), "{text}");
                    assert_eq!(attempt, u64::from(TRIES), "{text}");
                }
                _ => panic!("{task:?}: {text}"),
            }
        }
        _ => panic!("has not ended: {text}"),
    }
}

/// What may have become of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// Processes died, which costs none.
    Kept,
    /// The store itself crashed: what it had not written to the disk is gone,
    /// and log lines need not have been.
    LostWithTheStore,
}

/// No line was kept twice, and all of the last attempt were kept.
fn check_log(end: &Answer, attempt: u64, log: Log) {
    let mut said = Vec::new();
    for line in end["log"].as_array().into_iter().flatten() {
        // Without its time.
        let text = line.as_str().and_then(|line| line.split_once(' '));
        said.push(text.expect("a time and a text").1.to_owned());
    }
    let last = (0..STEPS).map(|step| format!("attempt {attempt} has step-{step}"));
    let mut last: Vec<String> = last.collect();
    if log == Log::LostWithTheStore {
        last.retain(|line| said.contains(line));
    }
    assert!(said.ends_with(&last), "{said:?}");
    let different: HashSet<&String> = said.iter().collect();
    assert_eq!(different.len(), said.len(), "{said:?}");
}

/// What the tools did must be allowed.
pub(crate) fn check_lines(lines: &[Line], ends: &HashMap<String, Answer>, counts: &mut Counts) {
    let mut tasks: HashMap<&str, Vec<&Line>> = HashMap::new();
    let killed: HashSet<u32> = of(lines, Event::Killed).map(|line| line.pid).collect();
    for line in lines.iter().filter(|line| line.event != Event::Killed) {
        tasks.entry(&line.task).or_default().push(line);
    }
    for task in tasks.values() {
        check_attempts(task, &killed, counts);
        check_steps(task, counts);
    }
    check_keys(lines, ends);
}

fn of(lines: &[Line], event: Event) -> impl Iterator<Item = &Line> {
    lines.iter().filter(move |line| line.event == event)
}

fn check_attempts(lines: &[&Line], killed: &HashSet<u32>, counts: &mut Counts) {
    let mut began: Vec<&Line> = Vec::new();
    for line in lines {
        if line.event != Event::Began {
            continue;
        }
        let limit = match line.tool.as_str() {
            "once" => 1,
            "flaky" => TRIES,
            _ => STARTS,
        };
        assert!((1..=limit).contains(&line.attempt), "too often: {lines:?}");
        for earlier in &began {
            assert_ne!(
                earlier.epoch, line.epoch,
                "one claim began twice: {lines:?}"
            );
            assert_ne!(earlier.attempt, line.attempt, "began twice: {lines:?}");
        }
        if let Some(last) = began.last()
            && last.epoch < line.epoch
        {
            let said = lines
                .iter()
                .find(|end| end.epoch == last.epoch && ends_body(end.event));
            match said.map(|line| line.event) {
                // An error that is worth a retry.
                Some(Event::Failed) => assert_eq!(line.tool, "flaky", "{lines:?}"),
                _ => {
                    assert_ne!(line.tool, "flaky", "repeated unasked: {lines:?}");
                    counts.started_again += 1;
                    counts.taken_from_the_living += usize::from(!killed.contains(&last.pid));
                }
            }
        }
        began.push(line);
    }
}

fn ends_body(event: Event) -> bool {
    matches!(event, Event::Ended | Event::Failed | Event::Dropped)
}

/// A step that has been recorded never runs again, and what an attempt got
/// without running it had been recorded before.
fn check_steps(lines: &[&Line], counts: &mut Counts) {
    let mut recorded: HashSet<&str> = HashSet::new();
    let mut ran: HashSet<(&str, u64)> = HashSet::new();
    for line in lines {
        let step = line.detail.as_str();
        match line.event {
            Event::StepRan => {
                assert!(!recorded.contains(step), "{step} ran again: {lines:?}");
                ran.insert((step, line.epoch));
            }
            Event::StepRecorded => {
                if !ran.contains(&(step, line.epoch)) {
                    let before = ran.iter().any(|(name, _)| *name == step);
                    assert!(before, "{step} never ran: {lines:?}");
                    counts.steps_spared += 1;
                }
                recorded.insert(step);
            }
            _ => {}
        }
    }
}

/// Tasks of one key do not run at once.
///
/// A worker that lives and lost its lease may take a moment to notice: its task
/// belonged to somebody else by then. So what overlaps must not have been
/// finished by the attempt that began first.
fn check_keys(lines: &[Line], ends: &HashMap<String, Answer>) {
    let mut running: Vec<&Line> = Vec::new();
    for line in lines {
        match line.event {
            Event::Killed => running.retain(|other| other.pid != line.pid),
            Event::Began if line.tool == "keyed" => {
                for other in running.iter().filter(|other| other.detail == line.detail) {
                    let end = ends.get(&other.task);
                    let finished = end.is_some_and(|end| {
                        end["status"] == "completed"
                            && end["attempt"].as_u64().unwrap_or(1) == u64::from(other.attempt)
                    });
                    assert!(!finished, "{} ran at once: {other}{line}", line.detail);
                }
                running.push(line);
            }
            event if ends_body(event) => {
                running.retain(|other| (&other.task, other.epoch) != (&line.task, line.epoch));
            }
            _ => {}
        }
    }
}
